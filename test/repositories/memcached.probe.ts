import { connect } from 'node:net';
import { resolveOptions } from '../../lib/options/resolve-options.js';
import { MemcachedSessionRepository } from '../../lib/repositories/memcached/memcached-session.repository.js';
import type { MemcachedSessionOptions } from '../../lib/repositories/memcached/memcached.options.js';
import type { SessionRecord } from '../../lib/repositories/session-repository.js';

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** As the option `memcached.servers` takes it. */
export function addressOf({ host, port }: Address): string {
  return `${host}:${port}`;
}

/** A repository as the module makes it, with these options. */
export function openMemcached(
  memcached: MemcachedSessionOptions,
  { keyPrefix = 'session:', storeTimeout = 30_000 } = {},
): Promise<MemcachedSessionRepository> {
  const options = { ...resolveOptions({ type: 'memcached', memcached }), keyPrefix, storeTimeout };
  return MemcachedSessionRepository.create({ options });
}

export function record(text: string): SessionRecord {
  return { payload: Buffer.from(text) };
}

/** What a server answers to a command, asked past the client and the repository. */
export function ask({ host, port }: Address, command: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connect(port, host, () => socket.write(`${command}\r\n`));
    socket.setEncoding('latin1');
    socket.setTimeout(5000, () => socket.destroy(new Error(`no answer to ${command.split(' ')[0]}`)));
    socket.on('data', (text: string) => {
      answer += text;
      if (!/(^|\r\n)(END|EN|STORED|DELETED|HD\b[^\r]*|VA \d+[^\r]*\r\n[^]*)\r\n$/.test(answer)) return;
      socket.destroy();
      resolve(answer);
    });
    socket.on('error', reject);
    socket.on('close', () => reject(new Error(`closed after "${answer}"`)));
  });
}

/** One of the server's own counters. */
export async function stat(server: Address, name: string): Promise<number> {
  return Number((await stats(server))[name]);
}

export async function stats(server: Address): Promise<Record<string, string>> {
  const answer = await ask(server, 'stats');
  return Object.fromEntries(Array.from(answer.matchAll(/^STAT (\w+) (.*)\r$/gm), ([, name = '', value = '']) => [name, value]));
}

/** The server's own counters of commands. */
const COUNTERS = ['cmd_get', 'cmd_set', 'cmd_touch', 'cas_hits', 'cas_badval', 'cas_misses', 'delete_hits', 'delete_misses', 'cmd_flush'];

/** By how much the counters of commands go up meanwhile; those that do not are left out. */
export async function commandsDuring(server: Address, action: () => Promise<unknown>): Promise<Record<string, number>> {
  const before = await stats(server);
  await action();
  const after = await stats(server);
  const grown = COUNTERS.map((name): [string, number] => [name, Number(after[name]) - Number(before[name])]);
  return Object.fromEntries(grown.filter(([, count]) => count !== 0));
}

/** Seconds that a key has left by the server's account. */
export async function secondsLeft(server: Address, key: string): Promise<number> {
  const left = /^HD t(-?\d+)/.exec(await ask(server, `mg ${key} t`))?.[1];
  if (left === undefined) throw new Error('the key is not there');
  return Number(left);
}
