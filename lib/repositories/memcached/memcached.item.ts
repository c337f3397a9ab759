import { hash } from 'node:crypto';
import type { SessionVersion } from '../session-repository.js';

const LONGEST_KEY = 250;
/** Memcached ends a key at a space or a control character; other bytes than ASCII the client might not give back alike. */
const SAFE_KEY = /^[\x21-\x7e]+$/;

/** The key of a session: prefix and handle as they are where Memcached takes them so, else their hash. */
export function keyFor(prefix: string, handle: string): string {
  const key = prefix + handle;
  // The client collects values in a plain object, where some names are taken.
  const isPlain = key.length <= LONGEST_KEY && SAFE_KEY.test(key) && !(key in Object.prototype);
  return isPlain ? key : `sha256:${hash('sha256', key)}`;
}

/** What the client marks a value with that is bytes, and by which it gives bytes back: its `ValueFlags.TYPE_BINARY`. */
export const BINARY_FLAG = 8;

const SEPARATOR = 0x3a;
const MOST_DIGITS = 15;
const COUNTER = /^\d{1,15}$/;
const VERSION = /^(?<counter>\d{1,15})(?::(?<token>\d+))?$/;

/** A value: `<counter>:<payload>`. The counter goes up with every change. */
export function toValue(counter: number, payload: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`${counter}:`), payload]);
}

/** @returns undefined for what is no such value: another program wrote it. */
export function fromValue(value: unknown): { counter: number; payload: Uint8Array } | undefined {
  if (!Buffer.isBuffer(value)) return undefined;
  const end = value.indexOf(SEPARATOR);
  const counter = value.toString('latin1', 0, Math.max(0, Math.min(end, MOST_DIGITS + 1)));
  return COUNTER.test(counter) ? { counter: Number(counter), payload: value.subarray(end + 1) } : undefined;
}

/**
 * A version: the counter, and from a read also the `cas` token by which Memcached knows that state. Memcached does not tell the
 * token of what it has just stored, so the version of a write is the counter alone.
 */
export function toVersion(counter: number, token?: string): SessionVersion {
  return token === undefined ? String(counter) : `${counter}:${token}`;
}

/** What is no version of this repository is one that no record has. */
export function fromVersion(version: SessionVersion): { counter: number; token: string | undefined } {
  const parts = VERSION.exec(version)?.groups;
  return { counter: Number(parts?.['counter']), token: parts?.['token'] };
}
