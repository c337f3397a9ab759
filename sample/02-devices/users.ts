import { createHash, timingSafeEqual } from 'node:crypto';

export interface User {
  readonly name: string;
  readonly isAdministrator: boolean;
}

/** The users of the sample. A real application keeps slow hashes (scrypt, argon2) of passwords, and not in its sources. */
const PASSWORDS: ReadonlyMap<string, string> = new Map([
  ['ada', 'analytical engine'],
  ['grace', 'nanoseconds'],
]);

export const USER_NAMES: readonly string[] = [...PASSWORDS.keys()];
/** For the log-in page, so that the sample can be tried. */
export const HINTS: readonly (readonly [string, string])[] = [...PASSWORDS];

export function findUser(name: string | undefined): User | undefined {
  return name !== undefined && PASSWORDS.has(name) ? { name, isAdministrator: name === 'grace' } : undefined;
}

/** The user, if name and password belong together. An unknown name takes as long as a wrong password. */
export function checkPassword(name: unknown, password: unknown): User | undefined {
  const user = typeof name === 'string' ? findUser(name.trim().toLowerCase()) : undefined;
  const expected = digest(PASSWORDS.get(user?.name ?? '') ?? '');
  const given = digest(typeof password === 'string' ? password : '');
  return timingSafeEqual(expected, given) ? user : undefined;
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
