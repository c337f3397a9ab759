import { createHmac, timingSafeEqual } from 'node:crypto';

/** A signature: HMAC-SHA-1 in base64url without padding. */
const SIGNATURE = /^[\w-]{27}$/;

/**
 * The `Signer` of Python's package itsdangerous as Flask-Session sets it up: salt `flask-session`, key derivation `hmac`, SHA-1,
 * separated by a dot.
 */
export class ItsdangerousSigner {
  private readonly keys: readonly Buffer[];

  /** @param secrets any of them verifies. */
  constructor(secrets: readonly string[]) {
    this.keys = secrets.map((secret) => hmac(secret, 'flask-session'));
  }

  /** @returns what was signed; undefined for what was not signed with one of the secrets. */
  unsign(signed: string): string | undefined {
    const dot = signed.lastIndexOf('.');
    const signature = signed.slice(dot + 1);
    if (dot < 1 || !SIGNATURE.test(signature)) return undefined;
    const value = signed.slice(0, dot);
    const given = Buffer.from(signature, 'base64url');
    return this.keys.some((key) => timingSafeEqual(hmac(key, value), given)) ? value : undefined;
  }
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha1', key).update(text).digest();
}
