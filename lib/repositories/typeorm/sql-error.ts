/** What databases quote of a statement: it may hold ids. */
const QUOTED = /(Duplicate entry|near) '[\s\S]*'/g;

/**
 * What an error of TypeORM or a driver says, as an error that can be logged: theirs carry the statement and its parameters, and
 * with them whole sessions.
 */
export function describeSqlError(error: unknown): Error {
  if (!(error instanceof Error)) return new Error(String(error));
  // An error of the network that tried several addresses has a code and no message.
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  const message = error.message.replaceAll(QUOTED, "$1 '…'") || error.name;
  return new Error(code === undefined || message.includes(code) ? message : `${message} (${code})`);
}
