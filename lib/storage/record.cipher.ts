import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto';
import { UnreadableRecordError } from '../errors.js';

/** Seals records. Bound to the handle: a record that was moved under another one does not open. */
export interface RecordCipher {
  seal(handle: string, plain: Uint8Array): Buffer;
  /** @throws UnreadableRecordError when the record was not sealed for this handle with one of the keys. */
  open(handle: string, sealed: Buffer): Buffer;
}

const MARK = Buffer.from('E1');
const KEY_ID_BYTES = 4;
/** 96 random bits, as NIST SP 800-38D recommends for GCM. */
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const HEAD_BYTES = MARK.length + KEY_ID_BYTES + NONCE_BYTES + TAG_BYTES;

interface DerivedKey {
  readonly id: Buffer;
  readonly secret: Buffer;
}

/**
 * AES-256-GCM. A record is: the mark `E1`, 4 bytes that identify the key, 12 bytes nonce, 16 bytes tag, ciphertext.
 * The 256-bit key comes from the configured one by HKDF-SHA-256 (RFC 5869), so that a key of any length at least 32
 * characters serves, and the same secret may sign cookies elsewhere.
 */
export class AesGcmCipher implements RecordCipher {
  private readonly current: DerivedKey;
  private readonly keys = new Map<string, DerivedKey>();

  /** @param keys the first one seals, all of them open. */
  constructor(keys: readonly (string | Uint8Array)[]) {
    const derived = keys.map(deriveKey);
    const [first] = derived;
    if (first === undefined) throw new TypeError('[ServerSession] encryption needs at least one key');
    this.current = first;
    for (const key of derived) this.keys.set(key.id.toString('hex'), key);
  }

  seal(handle: string, plain: Uint8Array): Buffer {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv('aes-256-gcm', this.current.secret, nonce, { authTagLength: TAG_BYTES });
    cipher.setAAD(Buffer.from(handle));
    const sealed = Buffer.concat([cipher.update(plain), cipher.final()]);
    return Buffer.concat([MARK, this.current.id, nonce, cipher.getAuthTag(), sealed]);
  }

  open(handle: string, sealed: Buffer): Buffer {
    if (sealed.length < HEAD_BYTES || !sealed.subarray(0, MARK.length).equals(MARK)) {
      throw new UnreadableRecordError('it is not encrypted');
    }
    let offset = MARK.length;
    const take = (bytes: number): Buffer => sealed.subarray(offset, (offset += bytes));
    const id = take(KEY_ID_BYTES).toString('hex');
    const key = this.keys.get(id);
    if (key === undefined) throw new UnreadableRecordError(`it was encrypted with the key ${id}, which is not configured`);
    const decipher = createDecipheriv('aes-256-gcm', key.secret, take(NONCE_BYTES), { authTagLength: TAG_BYTES });
    decipher.setAuthTag(take(TAG_BYTES));
    decipher.setAAD(Buffer.from(handle));
    try {
      return Buffer.concat([decipher.update(sealed.subarray(offset)), decipher.final()]);
    } catch (error) {
      throw new UnreadableRecordError('it was changed, or belongs to another session', error);
    }
  }
}

function deriveKey(key: string | Uint8Array): DerivedKey {
  const secret = Buffer.from(hkdfSync('sha256', key, '', 'nestjs-server-session/record', 32));
  return { secret, id: createHash('sha256').update(secret).digest().subarray(0, KEY_ID_BYTES) };
}
