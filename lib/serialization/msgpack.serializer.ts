import type { Packr } from 'msgpackr';
import { loadPackage } from '../repositories/load-package.js';
import { SessionSerializer } from './session-serializer.js';

/** MessagePack through msgpackr: smaller than JSON, and binary values need no base64. */
export class MsgpackSerializer extends SessionSerializer {
  override readonly name = 'msgpack';

  private constructor(private readonly packr: Packr) {
    super();
  }

  /** @throws MissingPackageError when msgpackr is not installed. */
  static async create(): Promise<MsgpackSerializer> {
    const { Packr } = await loadPackage(() => import('msgpackr'), "serializer 'msgpack'", 'msgpackr');
    // `moreTypes` keeps Set, Error and typed arrays; records would make the bytes depend on what was packed before.
    return new MsgpackSerializer(new Packr({ useRecords: false, moreTypes: true, mapsAsObjects: true }));
  }

  override serialize(value: unknown): Uint8Array | undefined {
    return value === undefined || typeof value === 'function' ? undefined : Buffer.from(this.packr.pack(value));
  }

  override deserialize(bytes: Buffer): unknown {
    return this.packr.unpack(bytes);
  }
}
