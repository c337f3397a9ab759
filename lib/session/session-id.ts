import { hash, randomBytes } from 'node:crypto';

/**
 * Session ids: random bytes in base64url (RFC 4648 §5). What the store sees is the handle: the SHA-256 of the id, so
 * that reading the store steals no session (the lesson of CVE-2019-16782).
 */
export class SessionIds {
  private readonly form: RegExp;
  private readonly length: number;

  /** @param bytes of randomness in an id. @param hashed whether handles are hashes. */
  constructor(
    private readonly bytes: number,
    private readonly hashed: boolean,
  ) {
    this.length = Math.ceil((bytes * 4) / 3);
    this.form = /^[\w-]+$/;
  }

  generate(): string {
    return randomBytes(this.bytes).toString('base64url');
  }

  /** Whether a text has the form of an id of this application. Costs nothing for a text of another length. */
  isWellFormed(id: string): boolean {
    return id.length === this.length && this.form.test(id);
  }

  /** The name of the session in the store. */
  handleOf(id: string): string {
    return this.hashed ? hash('sha256', id, 'base64url') : id;
  }
}

/** Whether a text can be a handle at all: what administration is given may come from a URL. */
export function isHandle(handle: unknown): handle is string {
  return typeof handle === 'string' && /^[\w-]{1,128}$/.test(handle);
}
