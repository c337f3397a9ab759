import { inspect } from 'node:util';

/** Everything that a log, a debugger or a reporter of errors may show of an error. */
export function shown(error: unknown): string {
  const json = JSON.stringify(error, (_key, value: unknown) => (value instanceof Error ? { ...value, message: value.message } : value));
  const views = [inspect(error, { depth: Infinity, showHidden: true, maxStringLength: Infinity }), json, String(error)];
  for (let cause = error; cause instanceof Error; cause = cause.cause) views.push(cause.message, cause.stack ?? '', cause.name);
  return views.join('\n');
}
