import { JsonSerializer } from '../../../lib/storage/serializers.js';

/** JSON that notes what it turned into bytes and back. */
export class CountingSerializer extends JsonSerializer {
  written: unknown[] = [];
  read: unknown[] = [];

  override serialize(value: unknown): string | undefined {
    const text = super.serialize(value);
    this.written.push(text);
    return text;
  }

  override deserialize(bytes: Buffer): unknown {
    this.read.push(bytes.toString());
    return super.deserialize(bytes);
  }

  forget(): void {
    this.written = [];
    this.read = [];
  }
}
