import { readFile } from 'node:fs/promises';

export interface SystemUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/**
 * The user a server runs as when the tests run as root: PostgreSQL and MariaDB refuse root.
 * Undefined when the tests do not run as root (the server then runs as oneself).
 */
export async function systemUser(name: string): Promise<SystemUser | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const accounts = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'));
  for (const wanted of [name, 'nobody']) {
    const account = accounts.find((fields) => fields[0] === wanted);
    if (account !== undefined) {
      return { name: wanted, uid: Number(account[2]), gid: Number(account[3]) };
    }
  }
  throw new Error(`this server does not run as root, and there is neither a user "${name}" nor "nobody"`);
}
