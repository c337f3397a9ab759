import { inspect } from 'node:util';

/*
 * What may stand in a message. Whatever this package says of values, options and errors of others goes through here, so that nothing of
 * a session, no id and no password gets into an error, a log line or telemetry.
 */

const LONGEST_MESSAGE = 300;
const LEFT_OUT = '…';

/** Control characters, separators of lines, and marks that change the direction of a line. */
const UNPRINTABLE = /[\p{Cc}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]+/gu;

/** A string that fits in one line of a log: no control characters, and not longer than `limit`. */
export function printable(text: string, limit = LONGEST_MESSAGE): string {
  // Cut first: the rest of a string of megabytes need not be looked at.
  const line = text
    .slice(0, 2 * limit)
    .replace(UNPRINTABLE, ' ')
    .trim();
  return line.length > limit ? line.slice(0, limit) + LEFT_OUT : line;
}

/** What kind of value it is, and nothing of its content. */
export function kindOf(value: unknown): string {
  if (value === undefined || value === null) return String(value);
  if (value === '') return 'an empty string';
  if (typeof value === 'string') return 'a string';
  if (typeof value === 'function') return `the function ${printable(value.name, 60) || '(anonymous)'}`;
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : `a list of ${value.length}`;
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

/** An error of a client or driver, with nothing left of it but what helps an operator. Its stack is its own. */
export class RedactedError extends Error {
  declare readonly code?: string | number;

  constructor(name: string, message: string, code: string | number | undefined) {
    super(message);
    Object.defineProperty(this, 'name', { value: name, configurable: true, writable: true });
    if (code !== undefined) this.code = code;
  }
}

/** Names and codes are identifiers; anything else in their place may be data of a session. */
const NAME = /^[A-Za-z_$][\w$]{0,59}$/;
const CODE = /^[A-Z\d_-]{1,40}$/i;

/**
 * What is left of an error of others as the `cause` of one of ours: name, code and cleaned message. Clients put the command with its
 * arguments, the statement with its parameters, or the document on their errors.
 *
 * @param secrets what the failed operation was about: handle, principal, record. What the message repeats of them is left out.
 */
export function redactedError(cause: unknown, ...secrets: readonly unknown[]): RedactedError {
  if (cause instanceof RedactedError) return cause;
  const name = read(cause, 'name');
  const code = read(cause, 'code');
  return new RedactedError(
    typeof name === 'string' && NAME.test(name) && !repeats(name, secrets) ? name : 'Error',
    reasonOf(cause, ...secrets),
    typeof code === 'number' || (typeof code === 'string' && CODE.test(code) && !repeats(code, secrets)) ? code : undefined,
  );
}

/** What an unknown thrown value says, in one line that can be logged. @param secrets as for `redactedError`. */
export function reasonOf(cause: unknown, ...secrets: readonly unknown[]): string {
  const message = typeof cause === 'string' ? cause : read(cause, 'message');
  if (typeof message === 'string' && printable(message) !== '') return cleaned(message, secrets);
  // An error of the network that tried several addresses has no message of its own.
  const [first] = asList(read(cause, 'errors'));
  if (first !== undefined && first !== cause) return reasonOf(first, ...secrets);
  const [code, name] = [read(cause, 'code'), read(cause, 'name')];
  const known = [code, name].find((value) => typeof value === 'string' && NAME.test(value));
  return typeof known === 'string' ? cleaned(known, secrets) : `${kindOf(cause)} was thrown`;
}

/** Errors may be proxies, or have getters that throw. */
function read(object: unknown, key: string): unknown {
  if (typeof object !== 'object' || object === null) return undefined;
  try {
    return Reflect.get(object, key) as unknown;
  } catch {
    return undefined;
  }
}

function asList(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

/** Where databases and clients quote values, and what stands before it. */
const QUOTED_VALUES: readonly RegExp[] = [
  // MySQL: Duplicate entry 'ada' for key 'PRIMARY'; … near 'INSERT …' at line 1; Incorrect string value: '\xF0…' for column
  /\b(duplicate entry|near|value:?|user|argument|literal) (["'`]).*\2/gis,
  // PostgreSQL: Key (id)=(abc) already exists; Failing row contains (abc, …)
  /(=|\bcontains )\(.*\)/gs,
  // MongoDB: dup key: { _id: "abc" }, and any other object
  /([{<[])[\s\S]*[}>\]]/g,
];

/** Ids, handles, hashes, tokens and encoded bytes: words of 20 characters with a digit among them, or of 32. */
const TOKEN = /(?=[\w+=-]*\d)[\w+=-]{20,}|[\w+=-]{32,}/g;
/** Characters from which on a word of a message is looked for in a record: shorter ones are in every record by chance. */
const SHORTEST_PART = 4;
const WORD = new RegExp(`[\\p{L}\\p{N}\\p{M}\\p{S}_-]{${SHORTEST_PART},}`, 'gu');

function cleaned(message: string, secrets: readonly unknown[]): string {
  let text = printable(message, 4 * LONGEST_MESSAGE);
  for (const secret of secrets) if (typeof secret === 'string') text = withoutString(text, printable(secret));
  text = text.split(' ').map(withoutCredentials).join(' ');
  for (const quoted of QUOTED_VALUES) text = text.replace(quoted, `$1 ${LEFT_OUT}`);
  text = text.replace(TOKEN, LEFT_OUT);
  if (secrets.length > 0) text = withoutWordsOf(text, secrets);
  return printable(text);
}

/** A word as in `redis://user:password@host`, `user:password@host` or `…/?password=…`. A password may hold any character, so the rest of the word goes. */
function withoutCredentials(word: string): string {
  const scheme = word.indexOf('://');
  if (scheme >= 0 && /[@?]/.test(word)) return `${word.slice(0, scheme)}://${LEFT_OUT}`;
  const colon = word.indexOf(':');
  return colon >= 0 && word.includes('@', colon) ? LEFT_OUT : word;
}

/** A short one only where it stands alone, for it may be a part of any word. */
function withoutString(text: string, secret: string): string {
  if (secret.length >= SHORTEST_PART) return text.replaceAll(secret, LEFT_OUT);
  if (secret === '') return text;
  const escaped = secret.replace(/[\\^$.*+?()[\]{}|/-]/g, String.raw`\$&`);
  return text.replace(new RegExp(`(?<![\\p{L}\\p{N}])${escaped}(?![\\p{L}\\p{N}])`, 'gu'), LEFT_OUT);
}

function withoutWordsOf(text: string, secrets: readonly unknown[]): string {
  const sources = secrets.filter((secret) => secret !== undefined).map(asSource);
  return text.replace(WORD, (word) => (sources.some((source) => source.includes(word)) ? LEFT_OUT : word));
}

function repeats(word: string, secrets: readonly unknown[]): boolean {
  return secrets.some((secret) => secret !== undefined && word.length >= SHORTEST_PART && asSource(secret).includes(word));
}

/** Something to search for what a message may repeat: bytes and strings as they are, any other value as it is inspected. */
function asSource(secret: unknown): Buffer | string {
  if (typeof secret === 'string') return secret;
  if (ArrayBuffer.isView(secret)) return Buffer.from(secret.buffer, secret.byteOffset, secret.byteLength);
  return inspect(secret, { depth: Infinity, showHidden: true, customInspect: false, maxArrayLength: Infinity, maxStringLength: Infinity });
}

/** What an option may say about itself in a message about options: what is in a string is shown unless it may be a password. */
export function display(value: unknown): string {
  if (typeof value === 'string') return value === '' ? "''" : `'${withoutPassword(printable(value, 60))}'`;
  return typeof value === 'object' || typeof value === 'function' ? kindOf(value) : String(value);
}

/**
 * Addresses are given with and without a scheme, with the password before the host or among parameters, and in the wrong option. So what
 * follows a scheme, a user or the name of a secret is left out, but for a port.
 */
function withoutPassword(text: string): string {
  if (/pass|pwd|secret|token|auth|credential/i.test(text)) return LEFT_OUT;
  if (text.includes('@')) return text.replace(/^([a-z][\w+.-]*:\/\/)?.*$/is, `$1${LEFT_OUT}`);
  return text.replace(/:\/\/.*$/s, `://${LEFT_OUT}`).replace(/:(?!\/\/|\d{1,5}$).*$/s, `:${LEFT_OUT}`);
}
