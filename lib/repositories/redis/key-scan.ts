import type { Redis } from 'ioredis';
import { InvalidSessionCursorError } from '../../errors.js';
import type { RedisClient, RedisConnection } from './redis.connection.js';

/** Commands for one page, lest sessions that are rare among other keys keep a caller waiting. */
const MAX_SCANS = 100;
/** Keys looked at by one command where only their number matters. */
const COUNT_STEP = 1000;

/** What a session is stored under; other keys may have the same prefix. */
const HANDLE = /^[\w-]{1,128}$/;
/** In cursors; neither in handles nor in the names of nodes. */
const SEPARATOR = '~';

/** One page of the handles in the store. */
export interface HandlePage {
  readonly handles: string[];
  readonly cursor: string | undefined;
}

/**
 * Walks over the keys of all sessions, node after node in a cluster. As with SCAN itself, a session that is there all the time
 * is found; one may be found twice.
 */
export class KeyScan {
  constructor(
    private readonly connection: RedisConnection,
    private readonly prefix: string,
  ) {}

  /** @param cursor of the page before: SCAN's own, the node that it belongs to, and what SCAN found past the end of the page. */
  async page(cursor: string | undefined, limit: number): Promise<HandlePage> {
    const nodes = nodesOf(this.connection.client);
    let { index, scan, handles: found } = cursor === undefined ? { index: 0, scan: '0', handles: [] } : resume(nodes, cursor);
    const handles = new Set(found);
    for (let scans = 0; scans < MAX_SCANS && handles.size < limit; scans++) {
      const node = nodes[index];
      if (node === undefined) break;
      [scan, found] = await this.scan(node, scan, limit - handles.size);
      for (const handle of found) handles.add(handle);
      if (scan === '0') index++;
    }
    const page = [...handles];
    const rest = page.splice(limit);
    const node = nodes[index];
    if (node === undefined && rest.length === 0) return { handles: page, cursor: undefined };
    return { handles: page, cursor: [`${scan}@${node === undefined ? '' : nameOf(node)}`, ...rest].join(SEPARATOR) };
  }

  async count(): Promise<number> {
    const counts = await Promise.all(nodesOf(this.connection.client).map((node) => this.countNode(node)));
    return counts.reduce((sum, count) => sum + count, 0);
  }

  private async countNode(node: Redis): Promise<number> {
    let count = 0;
    let scan = '0';
    do {
      const [next, handles] = await this.scan(node, scan, COUNT_STEP);
      count += handles.length;
      scan = next;
    } while (scan !== '0');
    return count;
  }

  private async scan(node: Redis, cursor: string, count: number): Promise<[string, string[]]> {
    // The client puts a prefix of its own before keys, but not before patterns.
    const prefix = this.connection.keyPrefix + this.prefix;
    const [next, keys] = await this.connection.run(() =>
      node.scan(cursor, 'MATCH', `${escapeGlob(prefix)}*`, 'COUNT', Math.max(10, count)),
    );
    return [next, keys.map((key) => key.slice(prefix.length)).filter(isHandle)];
  }
}

/** In an order that stays the same from page to page. */
function nodesOf(client: RedisClient): Redis[] {
  if (!('nodes' in client)) return [client];
  return client.nodes('master').sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
}

function nameOf({ options }: Redis): string {
  return `${options.host}:${options.port}`;
}

function resume(nodes: readonly Redis[], cursor: string): { index: number; scan: string; handles: string[] } {
  const [position = '', ...handles] = cursor.split(SEPARATOR);
  const [, scan, name] = /^(\d{1,20})@(.*)$/.exec(position) ?? [];
  if (scan === undefined || name === undefined || !handles.every(isHandle)) throw new InvalidSessionCursorError();
  // A node that is gone was replaced by another one, whose cursors are its own: the listing goes on with the next node.
  const index = name === '' ? -1 : nodes.findIndex((node) => nameOf(node) >= name);
  const node = nodes[index];
  if (node === undefined) return { index: nodes.length, scan: '0', handles };
  return { index, scan: nameOf(node) === name ? scan : '0', handles };
}

function isHandle(name: string): boolean {
  return HANDLE.test(name);
}

function escapeGlob(text: string): string {
  return text.replace(/[\\*?[\]^-]/g, String.raw`\$&`);
}
