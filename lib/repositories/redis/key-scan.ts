import type { Redis } from 'ioredis';
import { InvalidSessionCursorError } from '../../errors.js';
import { isHandle } from '../../session/session-id.js';
import type { RedisClient } from './redis-session.repository.js';

/** Commands for one page, lest sessions that are rare among other keys keep a caller waiting. */
const MAX_SCANS = 100;
/** Keys looked at by one command where only their number matters. */
const COUNT_STEP = 1000;

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
  constructor(private readonly prefix: string) {}

  /** @param cursor of the page before: SCAN's own, and the node that it belongs to. */
  async page(client: RedisClient, cursor: string | undefined, limit: number): Promise<HandlePage> {
    const nodes = nodesOf(client);
    let { index, scan } = cursor === undefined ? { index: 0, scan: '0' } : resume(nodes, cursor);
    const handles = new Set<string>();
    for (let scans = 0; scans < MAX_SCANS && handles.size < limit; scans++) {
      const node = nodes[index];
      if (node === undefined) return { handles: [...handles], cursor: undefined };
      const [next, keys] = await this.scan(client, node, scan, limit);
      for (const handle of keys) handles.add(handle);
      scan = next;
      if (next === '0') index++;
    }
    const node = nodes[index];
    return { handles: [...handles], cursor: node && `${scan}@${nameOf(node)}` };
  }

  async count(client: RedisClient): Promise<number> {
    const counts = await Promise.all(nodesOf(client).map((node) => this.countNode(client, node)));
    return counts.reduce((sum, count) => sum + count, 0);
  }

  private async countNode(client: RedisClient, node: Redis): Promise<number> {
    let count = 0;
    let scan = '0';
    do {
      const [next, handles] = await this.scan(client, node, scan, COUNT_STEP);
      count += handles.length;
      scan = next;
    } while (scan !== '0');
    return count;
  }

  private async scan(client: RedisClient, node: Redis, cursor: string, count: number): Promise<[string, string[]]> {
    // The client puts a prefix of its own before keys, but not before patterns.
    const prefix = String(client.options.keyPrefix ?? '') + this.prefix;
    const [next, keys] = await node.scan(cursor, 'MATCH', `${escapeGlob(prefix)}*`, 'COUNT', Math.max(10, count));
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

function resume(nodes: readonly Redis[], cursor: string): { index: number; scan: string } {
  const [, scan, name] = /^(\d{1,20})@(.+)$/.exec(cursor) ?? [];
  if (scan === undefined || name === undefined) throw new InvalidSessionCursorError();
  // A node that is gone was replaced by another one, whose cursors are its own: the listing goes on with the next node.
  const index = nodes.findIndex((node) => nameOf(node) >= name);
  const node = nodes[index];
  if (node === undefined) return { index: nodes.length, scan: '0' };
  return { index, scan: nameOf(node) === name ? scan : '0' };
}

function escapeGlob(text: string): string {
  return text.replace(/[\\*?[\]^-]/g, String.raw`\$&`);
}
