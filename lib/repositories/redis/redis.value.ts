import { isUtf8 } from 'node:buffer';
import { hash } from 'node:crypto';
import { UnreadableRecordError } from '../../errors.js';

/** What is under the key of a session: `<version>:<payload>`, or `<version>@<tag>:<payload>` for one that has a principal. */
export interface RedisValue {
  readonly version: string;
  /** Tells whose session it is, without saying so; see `tagOf`. */
  readonly tag: string | undefined;
  readonly payload: Buffer;
}

const END_OF_HEAD = 0x3a;
export const TAG_LENGTH = 22;
/** In bytes. */
const LARGEST_TEXT = 8192;
/** As many digits as a number holds exactly. */
const HEAD = new RegExp(`^(\\d{1,15})(?:@([\\w-]{${TAG_LENGTH}}))?$`);

/** Bytes from the start of a value that hold its head, whatever its version. */
export const HEAD_LENGTH = 15 + 1 + TAG_LENGTH + 1;

/** 132 bits of the SHA-256 of a principal: enough to know it again. */
export function tagOf(principal: string | undefined): string | undefined {
  return principal === undefined ? undefined : hash('sha256', principal, 'base64url').slice(0, TAG_LENGTH);
}

/**
 * As text where that comes to the same bytes: the client puts a command that has binary arguments together piece by piece, which
 * takes it longer than all the rest of the command. A large value is copied more cheaply than it is turned into text and back.
 */
export function encodeValue(version: string, tag: string | undefined, payload: Uint8Array): string | Buffer {
  const head = tag === undefined ? `${version}:` : `${version}@${tag}:`;
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
  return bytes.length <= LARGEST_TEXT && isUtf8(bytes) ? head + bytes.toString() : Buffer.concat([Buffer.from(head), bytes]);
}

/** @throws UnreadableRecordError for a value that is not ours. */
export function decodeValue(value: Buffer): RedisValue {
  const end = value.indexOf(END_OF_HEAD);
  const [, version, tag] = HEAD.exec(value.toString('latin1', 0, Math.max(0, Math.min(end, HEAD_LENGTH)))) ?? [];
  if (version === undefined) throw new UnreadableRecordError('its value was not written by a session repository');
  return { version, tag, payload: value.subarray(end + 1) };
}

/** The tag in the first bytes of a value; undefined where there is none, or no session. */
export function tagInHead(head: string): string | undefined {
  const end = head.indexOf(':');
  return HEAD.exec(head.slice(0, Math.max(0, end)))?.[2];
}
