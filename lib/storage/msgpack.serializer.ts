import type { Packr } from 'msgpackr';
import { loadPackage } from '../common/load-package.js';
import { assertPlainMsgpack } from './msgpack-scan.js';
import { SessionSerializer } from './session-serializer.js';
import { TagDecoder } from './tag-decoder.js';
import { TagEncoder } from './tag-encoder.js';
import { TAG, type ValueForm } from './value-form.js';

/** A surrogate without its other half: UTF-8 has no form for it. */
const LONE_SURROGATE = /\p{Surrogate}/u;

const MSGPACK_FORM: ValueForm = {
  writeBytes: (bytes) => bytes,
  readBytes: (value) => (Buffer.isBuffer(value) ? value : undefined),
  holdsText: (text) => !LONE_SURROGATE.test(text),
  // msgpackr reads `__proto__` as another key, and calls what is named `toJSON`.
  holdsKey: (key) => key !== '__proto__' && key !== 'toJSON' && !LONE_SURROGATE.test(key),
};

const TAG_TEXT = Buffer.from(TAG);

/**
 * MessagePack through msgpackr: smaller than JSON, and binary values need no base64. msgpackr is given plain data only; what
 * else there is stands in the same tags as in JSON. Its extensions for such values are global to the process, lose some of
 * them, and read more from hostile bytes than anybody wrote.
 */
export class MsgpackSerializer extends SessionSerializer {
  override readonly name = 'msgpack';

  private readonly encoder = new TagEncoder(MSGPACK_FORM);
  private readonly decoder = new TagDecoder(MSGPACK_FORM);

  private constructor(private readonly packr: Packr) {
    super();
  }

  /** @throws MissingPackageError when msgpackr is not installed. */
  static async create(): Promise<MsgpackSerializer> {
    const { Packr } = await loadPackage(() => import('msgpackr'), "serializer 'msgpack'", 'msgpackr');
    // Records would make the bytes depend on what was packed before. Buffers are copied when read, for a value that is
    // changed in place must not change the stored bytes it is compared with.
    const packr = new Packr({ useRecords: false, variableMapSize: true, copyBuffers: true });
    return new MsgpackSerializer(packr);
  }

  override serialize(value: unknown): Uint8Array | undefined {
    const encoded = this.encoder.encode(value);
    // A copy: msgpackr packs many values into one large piece of memory.
    return encoded === undefined ? undefined : Buffer.from(this.packr.pack(encoded));
  }

  override deserialize(bytes: Buffer): unknown {
    assertPlainMsgpack(bytes);
    // A view of its own, because msgpackr leaves a property behind on what it reads.
    const value: unknown = this.packr.unpack(bytes.subarray());
    return bytes.includes(TAG_TEXT) ? this.decoder.decode(value) : value;
  }
}
