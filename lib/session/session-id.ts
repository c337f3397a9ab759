import { Inject, Injectable } from '@nestjs/common';
import { hash, randomBytes } from 'node:crypto';
import { RESOLVED_OPTIONS, type ResolvedSessionOptions } from '../options/resolved-options.js';

/** The lengths in base64url of 16 and 64 bytes, the bounds of the option `idBytes`. */
const MIN_LENGTH = 22;
const MAX_LENGTH = 86;
const FORM = /^[\w-]+$/;

/**
 * Session ids: random bytes in base64url (RFC 4648 §5). What the store sees is the handle: the SHA-256 of the id, so
 * that reading the store steals no session (the lesson of CVE-2019-16782).
 */
@Injectable()
export class SessionIds {
  constructor(@Inject(RESOLVED_OPTIONS) private readonly options: Pick<ResolvedSessionOptions, 'idBytes' | 'hashIds'>) {}

  generate(): string {
    return randomBytes(this.options.idBytes).toString('base64url');
  }

  /** Whether a string has the form of an id, of whatever length `idBytes` allows: a deploy that changes it signs no user out. */
  isWellFormed(id: string): boolean {
    return id.length >= MIN_LENGTH && id.length <= MAX_LENGTH && FORM.test(id);
  }

  /** The name of the session in the store. */
  handleOf(id: string): string {
    return this.options.hashIds ? hash('sha256', id, 'base64url') : id;
  }
}
