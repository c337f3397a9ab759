import { randomBytes } from 'node:crypto';
import { FieldKind } from '../storage/record-fields.js';

/**
 * A key of its own for every flash message, so that merging keeps the messages of parallel requests. Their order is the
 * order in which they were stored.
 */
export function newFlashKey(): string {
  return FieldKind.flash + randomBytes(9).toString('base64url');
}
