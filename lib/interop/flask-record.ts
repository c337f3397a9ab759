import { reasonOf, UnreadableRecordError } from '../errors.js';
import { parseMsgpack } from './msgpack.parser.js';
import { parsePickle } from './pickle.parser.js';

/** Larger is no session that could go on here. */
export const MAX_FLASK_RECORD = 1024 * 1024;

/**
 * The data of a record of Flask-Session, which tells its format by its first byte: MessagePack or JSON of version 0.7 and later, pickle
 * of the versions before.
 *
 * @throws UnreadableRecordError for anything else.
 */
export function decodeFlaskRecord(bytes: Uint8Array): Record<string, unknown> {
  if (bytes.length > MAX_FLASK_RECORD) throw new UnreadableRecordError(`it has ${bytes.length} bytes, ${MAX_FLASK_RECORD} are allowed`);
  let value: unknown;
  try {
    value = decoderFor(bytes)(bytes);
  } catch (error) {
    throw new UnreadableRecordError(`it is no record of Flask-Session: ${reasonOf(error)}`);
  }
  if (isDictionary(value)) return value;
  throw new UnreadableRecordError('it is no record of Flask-Session: it is no dictionary with names for keys');
}

function decoderFor([first = 0]: Uint8Array): (bytes: Uint8Array) => unknown {
  // 0x80 is an empty map in MessagePack, and begins every pickle of protocol 2 and later. An empty session is never stored.
  if (first === '{'.charCodeAt(0)) return decodeJson;
  const isMap = (first > 0x80 && first <= 0x8f) || first === 0xde || first === 0xdf;
  return isMap ? parseMsgpack : parsePickle;
}

function decodeJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    // V8's own message quotes the string, and nothing of a session belongs in a log.
    throw new Error('it is no JSON');
  }
}

function isDictionary(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}
