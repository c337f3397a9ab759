import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { UnreadableRecordError } from '../../lib/errors/session.errors.js';
import { FileRecord } from '../../lib/repositories/filesystem/file-record.js';

/** What decoding comes to; anything but a record or the one error that it may throw is passed on. */
function decode(content: Buffer): unknown {
  try {
    return FileRecord.decode(content);
  } catch (error) {
    if (error instanceof UnreadableRecordError) return 'unreadable';
    throw error;
  }
}

const payloads = fc.uint8Array({ maxLength: 2_000 });
const principals = fc.option(fc.string({ unit: 'binary', maxLength: 50 }), { nil: undefined });

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
        decode(Buffer.from(bytes));
      }),
      { numRuns: 2_000 },
    );
  });

  it('is a record or unreadable, whatever JSON its first line is', () => {
    fc.assert(
      fc.property(fc.json(), payloads, (line, payload) => {
        const content = Buffer.concat([Buffer.from(`${line}\n`), payload]);
        const record = decode(content);
        if (record !== 'unreadable') expect(JSON.parse(line)).toHaveProperty('bytes', payload.length);
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
    expect(decode(Buffer.from(line))).toEqual({ payload: Buffer.alloc(0), principal: undefined });
    expect(Reflect.get({}, 'polluted')).toBeUndefined();
  });
});
