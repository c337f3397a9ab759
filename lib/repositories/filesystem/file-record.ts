import { UnreadableRecordError } from '../../errors.js';
import type { SessionRecord } from '../session-repository.js';

const NEWLINE = 0x0a;

/** The content of a session file: one line of JSON with what can be listed, then the payload. */
export const FileRecord = {
  encode({ payload, principal }: SessionRecord): Buffer {
    return Buffer.concat([Buffer.from(`${JSON.stringify({ principal, bytes: payload.length })}\n`), payload]);
  },

  /** @throws UnreadableRecordError for a file that was cut off, or is not ours. */
  decode(content: Buffer): SessionRecord {
    const end = content.indexOf(NEWLINE);
    if (end < 0) throw new UnreadableRecordError(`its file of ${content.length} bytes has no first line`);
    const head = parse(content.toString('utf8', 0, end));
    const payload = content.subarray(end + 1);
    if (head.bytes !== payload.length) throw new UnreadableRecordError('its file was cut off, or is not a session');
    return { payload, principal: typeof head.principal === 'string' ? head.principal : undefined };
  },

  /** The principal, by the beginning of a session file; undefined for one that cannot be read. */
  principalOf(beginning: Buffer): string | undefined {
    try {
      const { principal } = parse(beginning.toString('utf8', 0, Math.max(0, beginning.indexOf(NEWLINE))));
      return typeof principal === 'string' ? principal : undefined;
    } catch {
      return undefined;
    }
  },
};

function parse(line: string): { principal?: unknown; bytes?: unknown } {
  try {
    return (JSON.parse(line) ?? {}) as { principal?: unknown; bytes?: unknown };
  } catch (error) {
    throw new UnreadableRecordError('the first line of its file is not JSON', error);
  }
}
