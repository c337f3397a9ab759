import { createCipheriv, createDecipheriv, createHmac, hash, hkdfSync, randomBytes } from 'node:crypto';
import { UnreadableRecordError } from '../errors.js';

/** A key as the options give it. */
type ConfiguredKey = string | Uint8Array;

/** What a sealed record begins with. It says what the record is bound to. */
const MARK = 'E2';
/**
 * Of records that version 0.1.0 sealed: they are bound to the handle alone. They are read until they are written again, and not any more
 * from the version after this one on.
 */
const FORMER_MARK = 'E1';
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
 * Seals records with AES-256-GCM. Bound to prefix and handle: a record that was copied under another name does not open. A record is: the mark `E2`, 4 bytes that identify the key, 12 bytes nonce, 16 bytes tag, ciphertext. Mark, prefix and handle are
 * authenticated with it. The 256-bit key comes from the configured one by HKDF-SHA-256 (RFC 5869), so that a key of any length at least 32
 * characters serves, and the same secret may sign cookies elsewhere.
 */
export class AesGcmCipher {
  private readonly current: DerivedKey;
  private readonly keys = new Map<string, DerivedKey>();

  /**
   * @param keys the first one seals, all of them open.
   * @param keyPrefix what stands before the names of sessions in the store: applications with the same key do not open the
   *   records of each other.
   */
  constructor(
    keys: readonly ConfiguredKey[],
    private readonly keyPrefix = '',
  ) {
    const derived = keys.map(deriveKey);
    const [first] = derived;
    if (first === undefined) throw new TypeError('[ServerSession] encryption needs at least one key');
    this.current = first;
    for (const key of derived) this.keys.set(key.id.toString('hex'), key);
  }

  seal(handle: string, plain: Uint8Array): Buffer {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv('aes-256-gcm', this.current.secret, nonce, { authTagLength: TAG_BYTES });
    cipher.setAAD(this.boundTo(MARK, handle));
    const sealed = Buffer.concat([cipher.update(plain), cipher.final()]);
    return Buffer.concat([Buffer.from(MARK), this.current.id, nonce, cipher.getAuthTag(), sealed]);
  }

  /** @throws UnreadableRecordError when the record was not sealed for this handle with one of the keys. */
  open(handle: string, sealed: Buffer): Buffer {
    const mark = sealed.toString('latin1', 0, MARK.length);
    if (sealed.length < HEAD_BYTES || (mark !== MARK && mark !== FORMER_MARK)) throw new UnreadableRecordError('it is not encrypted');
    let offset = MARK.length;
    const take = (bytes: number): Buffer => sealed.subarray(offset, (offset += bytes));
    const id = take(KEY_ID_BYTES).toString('hex');
    const key = this.keys.get(id);
    if (key === undefined) throw new UnreadableRecordError(`it was encrypted with the key ${id}, which is not configured`);
    const decipher = createDecipheriv('aes-256-gcm', key.secret, take(NONCE_BYTES), { authTagLength: TAG_BYTES });
    decipher.setAuthTag(take(TAG_BYTES));
    decipher.setAAD(this.boundTo(mark, handle));
    try {
      return Buffer.concat([decipher.update(sealed.subarray(offset)), decipher.final()]);
    } catch (error) {
      throw new UnreadableRecordError('it was changed, or belongs to another session or another keyPrefix', error);
    }
  }

  /** What the record is authenticated with. Neither a prefix nor a handle has a line break, so no two pairs are the same. */
  private boundTo(mark: string, handle: string): Buffer {
    return Buffer.from(mark === FORMER_MARK ? handle : `${mark}\n${this.keyPrefix}\n${handle}`);
  }
}

/**
 * What the index of the store calls a principal: the name itself, or where records are encrypted, an HMAC of it. A
 * reader of the store cannot tell whose sessions they are then, not even by trying names.
 */
export class PrincipalNames {
  private readonly keys: readonly Buffer[];

  /** @param keys those of the option `encryption`; undefined without it. */
  constructor(keys?: readonly ConfiguredKey[]) {
    this.keys = (keys ?? []).map((key) => Buffer.from(hkdfSync('sha256', key, '', 'nestjs-server-session/principal', 32)));
  }

  /**
   * @returns first the name that is written. The others are those under which sessions may be stored that were not written
   *   since: one for each former key, and the hash without a key that version 0.1.0 wrote.
   */
  of(principal: string): readonly [string, ...string[]] {
    const [first, ...others] = this.keys.map((key) => createHmac('sha256', key).update(principal).digest('base64url'));
    return first === undefined ? [principal] : [first, ...others, hash('sha256', `principal:${principal}`, 'base64url')];
  }
}

function deriveKey(key: ConfiguredKey): DerivedKey {
  const secret = Buffer.from(hkdfSync('sha256', key, '', 'nestjs-server-session/record', 32));
  return { secret, id: hash('sha256', secret, 'buffer').subarray(0, KEY_ID_BYTES) };
}
