import { printable } from '../../common/redact.js';
import { errorMember } from './dialects/dialect.js';

const LONGEST_MESSAGE = 500;
/** What databases quote of a statement: it may hold ids, or values. */
const QUOTED = /(Duplicate entry|near|value:?) '[\s\S]*'/g;

/**
 * What an error of TypeORM or a driver says, as an error that can be logged: theirs carry the statement and its parameters, and
 * with them whole sessions.
 */
export function describeSqlError(error: unknown): Error {
  const [said, code] = [errorMember(error, 'message'), errorMember(error, 'code')];
  const reason = typeof said === 'string' ? said : String(error);
  const message = printable(reason.replaceAll(QUOTED, "$1 '…'"), LONGEST_MESSAGE);
  // An error of the network that tried several addresses has a code and no message.
  return new Error(typeof code !== 'string' || message.includes(code) ? message : `${message} (${code})`.trim());
}
