import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { UnreadableRecordError } from '../../lib/errors.js';
import { FileRecord } from '../../lib/repositories/filesystem/file-record.js';

/** The size of the payload in it; anything else that decoding throws than the one error that it may throw is passed on. */
function decode(content: Buffer): number | 'unreadable' {
  try {
    return FileRecord.decode(content).payload.length;
  } catch (error) {
    if (error instanceof UnreadableRecordError) return 'unreadable';
    throw error;
  }
}

const payloads = fc.oneof(fc.uint8Array({ maxLength: 20 }), fc.uint8Array({ maxLength: 2_000 }));
const principals = fc.option(fc.string({ unit: 'binary', maxLength: 50 }), { nil: undefined });

/** Any JSON, and JSON that is nearly right. */
const lines = fc.oneof(
  fc.json(),
  fc.nat({ max: 20 }).map((bytes) => JSON.stringify({ bytes })),
);

describe('The content of a session file', () => {
  it('gives back any payload and any principal', () => {
    fc.assert(
      fc.property(payloads, principals, (payload, principal) => {
        const record = FileRecord.decode(FileRecord.encode({ payload, principal }));
        expect(Buffer.compare(record.payload, payload)).toBe(0);
        expect(record.principal).toBe(principal);
      }),
    );
  });

  it('is a record or unreadable, whatever its bytes are', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 500 }), (bytes) => {
        expect(['number', 'string']).toContain(typeof decode(Buffer.from(bytes)));
      }),
      { numRuns: 2_000 },
    );
  });

  it('is a record or unreadable, whatever JSON its first line is', () => {
    fc.assert(
      fc.property(lines, payloads, (line, payload) => {
        const content = Buffer.concat([Buffer.from(`${line}\n`), payload]);
        const isOurs = (JSON.parse(line) as { bytes?: unknown } | null)?.bytes === payload.length;
        expect(decode(content)).toBe(isOurs ? payload.length : 'unreadable');
      }),
      { numRuns: 1_000 },
    );
  });

  it('is unreadable when any part of its end is missing, or something was added', () => {
    fc.assert(
      fc.property(payloads, principals, fc.nat(), fc.uint8Array({ minLength: 1, maxLength: 20 }), (payload, principal, cut, more) => {
        const content = FileRecord.encode({ payload, principal });
        expect(decode(content.subarray(0, cut % content.length))).toBe('unreadable');
        expect(decode(Buffer.concat([content, more]))).toBe('unreadable');
      }),
    );
  });

  it('has no effect on prototypes', () => {
    const line = '{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}},"bytes":0}\n';
    expect(FileRecord.decode(Buffer.from(line))).toEqual({ payload: Buffer.alloc(0), principal: undefined });
    expect(Reflect.get({}, 'polluted')).toBeUndefined();
  });
});
