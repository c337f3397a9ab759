import { describe, expect, it } from '@jest/globals';
import { MemcacheClient } from 'memcache-client';
import { MemcachedClock } from '../../lib/repositories/memcached/memcached.clock.js';
import { serversOf } from '../../lib/repositories/memcached/memcached.options.js';
import { nodeFor } from '../../lib/repositories/memcached/memcached.nodes.js';
import { faultsOf as faults } from '../support/resolve-options.js';

describe('The options of memcached', () => {
  const faultsOf = (memcached: unknown): string => faults({ type: 'memcached', memcached }).join();

  it('may be left out', () => {
    expect(serversOf({})).toEqual(['127.0.0.1:11211']);
    expect(faultsOf(undefined)).toBe('');
  });

  it('take one address or several, with a port or without', () => {
    expect(serversOf({ servers: 'Cache' })).toEqual(['cache:11211']);
    expect(serversOf({ servers: ['10.0.0.1', '10.0.0.2:1234'] })).toEqual(['10.0.0.1:11211', '10.0.0.2:1234']);
  });

  it.each<[string, unknown]>([
    ['an empty list', []],
    ['an empty address', ''],
    ['the same server twice', ['a', 'A:11211']],
    ['a wrong port', 'a:99999'],
    ['an address that the client cannot take', '[::1]:11211'],
    ['several in one text', 'a:1,b:2'],
    ['a URL', 'memcached://a:1'],
    ['a number', 11211],
    ['one wrong among right ones', ['a', '']],
  ])('refuse %s as servers', (_what, servers) => {
    expect(faultsOf({ servers })).toContain("'memcached.servers' is");
  });

  it('refuse a client of several servers, which takes any of them at random', () => {
    const client = new MemcacheClient({ server: { servers: [{ server: 'a:1' }, { server: 'b:1' }] } });
    expect(faultsOf({ client })).toContain("'memcached.client' is an object; allowed: a MemcacheClient");
    expect(faultsOf({ client: new MemcacheClient({ server: 'a:1' }) })).toBe('');
    expect(faultsOf({ client: new MemcacheClient({ server: { server: 'a:1', maxConnections: 3 } }) })).toBe('');
  });

  it.each<[string, object]>([
    ["'memcached.client' is", { client: {} }],
    ["'memcached.client' is", { client: 'a:1' }],
    ["'memcached.servers' is 'a:1'; allowed: nothing beside 'client'", { servers: 'a:1', client: new MemcacheClient({ server: 'a:1' }) }],
    ["'memcached.server' is", { server: 'a:1' }],
  ])('say %s …', (message, memcached) => {
    expect(faultsOf(memcached)).toContain(message);
  });
});

describe('The server of a key', () => {
  const nodes = (count: number): [{ name: string }, ...{ name: string }[]] => {
    const [first, ...others] = Array.from({ length: count }, (_unused, index) => ({ name: `10.0.0.${index}:11211` }));
    return [first!, ...others];
  };
  const keys = Array.from({ length: 5000 }, (_unused, index) => `session:${index}`);
  const namesFor = (count: number): string[] => keys.map((key) => nodeFor(nodes(count), key).name);

  it('is the same in whatever order the servers are named', () => {
    const [first, ...others] = nodes(5);
    const [last, ...before] = [first, ...others].reverse();
    for (const key of keys.slice(0, 200)) expect(nodeFor([last!, ...before], key).name).toBe(nodeFor([first, ...others], key).name);
  });

  it('is each of them about equally often', () => {
    const counts = new Map<string, number>();
    for (const name of namesFor(5)) counts.set(name, (counts.get(name) ?? 0) + 1);
    expect(counts.size).toBe(5);
    for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(150);
  });

  it('changes only for the keys that a new server takes', () => {
    const before = namesFor(4);
    const after = namesFor(5);
    const moved = keys.filter((_key, index) => before[index] !== after[index]);
    expect(moved.length).toBeGreaterThan(850);
    expect(moved.length).toBeLessThan(1150);
    expect(after.every((name, index) => name === before[index] || name === '10.0.0.4:11211')).toBe(true);
  });
});

describe('The clock of a server', () => {
  const DAY = 24 * 60 * 60 * 1000;

  it('is not asked for lifetimes up to 30 days', async () => {
    const clock = new MemcachedClock(() => Promise.reject(new Error('asked')));
    expect(await clock.expiry(1)).toBe(2);
    expect(await clock.expiry(1000)).toBe(2);
    expect(await clock.expiry(1001)).toBe(3);
    expect(await clock.expiry(30 * DAY - 1000)).toBe(30 * 24 * 60 * 60);
    await expect(clock.expiry(30 * DAY)).rejects.toThrow('asked');
  });

  it.each([-7200, 0, 7200])('decides about dates, %d seconds from ours', async (skew) => {
    const clock = new MemcachedClock(() => Promise.resolve(Math.floor(Date.now() / 1000) + skew));
    const ours = Date.now() / 1000 + 31 * 24 * 60 * 60;
    expect(Math.abs((await clock.expiry(31 * DAY)) - ours - skew)).toBeLessThan(5);
  });

  it('is asked once, and again after the server was lost', async () => {
    let asked = 0;
    const clock = new MemcachedClock(() => Promise.resolve(Math.floor(Date.now() / 1000) + asked++ * 1000));
    const first = await clock.expiry(31 * DAY);
    expect((await clock.expiry(31 * DAY)) - first).toBeLessThan(5);
    expect(asked).toBe(1);
    clock.reset();
    expect((await clock.expiry(31 * DAY)) - first).toBeGreaterThan(900);
  });

  it('counts as ours where the server does not tell', async () => {
    const clock = new MemcachedClock(() => Promise.resolve(undefined));
    expect(Math.abs((await clock.expiry(31 * DAY)) - Date.now() / 1000 - 31 * 24 * 60 * 60)).toBeLessThan(5);
  });
});
