import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { decodeValue, encodeValue, tagInHead, tagOf } from '../../lib/repositories/redis/redis.value.js';
import { FUZZ_RUNS } from '../support/fuzz.js';

const versions = fc.integer({ min: 1, max: 999_999_999 }).map(String);
const principals = fc.option(fc.string(), { nil: undefined });
/** Text, JSON and anything; short, and longer than what goes to the client as text. */
const payloads = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  fc.string({ unit: 'binary' }).map((text) => Buffer.from(text)),
  fc.json().map((text) => Buffer.from(text)),
  fc.uint8Array({ minLength: 8180, maxLength: 8200 }),
  fc.string({ minLength: 8180, maxLength: 8200 }).map((text) => Buffer.from(text)),
);

describe('The value of a session in Redis', () => {
  it('has the same bytes whether it goes to the client as text or as bytes, and gives back what it was made of', () => {
    fc.assert(
      fc.property(versions, principals, payloads, (version, principal, payload) => {
        const tag = tagOf(principal);
        const bytes = Buffer.from(encodeValue(version, tag, payload) as Uint8Array);
        const head = tag === undefined ? `${version}:` : `${version}@${tag}:`;
        expect(bytes.equals(Buffer.concat([Buffer.from(head), payload]))).toBe(true);
        const decoded = decodeValue(bytes);
        expect([decoded.version, decoded.tag, decoded.payload.equals(payload)]).toEqual([version, tag, true]);
        expect(tagInHead(bytes.toString('latin1', 0, 39))).toBe(tag);
      }),
      { numRuns: FUZZ_RUNS },
    );
  });

  it.each([
    ['a mark of byte order', Buffer.from('\uFEFF{}')],
    ['zero bytes', Buffer.from('a\0b')],
    ['half a character', Buffer.from([0x61, 0xc3])],
    ['an overlong form', Buffer.from([0xc0, 0x80])],
    ['a surrogate', Buffer.from([0xed, 0xa0, 0x80])],
  ])('keeps %s', (_what, payload) => {
    const bytes = Buffer.from(encodeValue('1', undefined, payload) as Uint8Array);
    expect(decodeValue(bytes).payload).toEqual(payload);
  });
});
