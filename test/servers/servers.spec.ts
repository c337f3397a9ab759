import { describe, expect, it } from '@jest/globals';
import { MemcacheClient } from 'memcache-client';
import mongoose from 'mongoose';
import { createConnection, type RowDataPacket } from 'mysql2/promise';
import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import pg from 'pg';
import { startMariaDb, startMemcached, startMemcachedNodes, startMongo, startPostgres } from './index.js';
import { itUnless } from './it-unless.js';
import { isStopped, processTree } from './process-tree.js';

const STARTUP = 60_000;

describe('memcached', () => {
  it(
    'answers, and comes back on the same port',
    async () => {
      const server = await startMemcached();
      try {
        const address = `${server.host}:${server.port}`;
        const client = new MemcacheClient({ server: address });
        await client.set('key', 'value');
        expect((await client.get<string>('key')).value).toBe('value');
        client.shutdown();
        if (!server.ours) return;
        await server.kill();
        await server.restart();
        const second = new MemcacheClient({ server: address });
        expect(await second.get('key')).toBeUndefined();
        second.shutdown();
      } finally {
        await server.stop();
      }
    },
    STARTUP,
  );

  itUnless('MEMCACHED_SERVERS')(
    'starts several nodes with extra arguments',
    async () => {
      const group = await startMemcachedNodes(3, { args: ['-m', '8'] });
      try {
        expect(group.servers.split(',')).toHaveLength(3);
        const client = new MemcacheClient({ server: group.servers.split(',')[2] ?? '' });
        const stats = JSON.stringify(await client.cmd('stats settings'));
        expect(stats).toContain(`["maxbytes","${8 * 1024 * 1024}"]`);
        client.shutdown();
      } finally {
        await group.stop();
      }
    },
    STARTUP,
  );
});

describe('A server that is paused', () => {
  itUnless('MONGODB_URL')(
    'has stopped with all its threads when the wait for it is over, on a busy machine too',
    async () => {
      const server = await startMongo();
      const busy = Array.from({ length: 4 * availableParallelism() }, () => spawn(process.execPath, ['-e', 'for (;;);']));
      const client = new mongoose.mongo.MongoClient(server.url);
      try {
        for (let round = 0; round < 20; round++) {
          const before = processTree(process.pid).filter((pid) => !isStopped(pid));
          const answers = Promise.all(Array.from({ length: 20 }, () => client.db('harness').command({ ping: 1 })));
          await server.pause();
          const after = new Set(processTree(process.pid).filter((pid) => !isStopped(pid)));
          expect(before.filter((pid) => !after.has(pid)).length).toBeGreaterThan(0);
          await server.resume();
          await answers;
        }
      } finally {
        for (const child of busy) child.kill('SIGKILL');
        await client.close();
        await server.stop();
      }
    },
    STARTUP,
  );
});

describe('postgres', () => {
  itUnless('POSTGRES_URL')(
    'keeps what was committed over a kill, in the time zone asked for',
    async () => {
      const server = await startPostgres({ timeZone: 'Pacific/Auckland', durable: true });
      try {
        const query = async (text: string): Promise<unknown[]> => {
          const client = new pg.Client({ connectionString: server.url });
          await client.connect();
          const { rows } = await client.query<Record<string, unknown>>(text);
          await client.end();
          return rows;
        };
        expect(await query('SHOW timezone')).toEqual([{ TimeZone: 'Pacific/Auckland' }]);
        await query('CREATE TABLE kept AS SELECT 1 AS value');
        await server.kill();
        await expect(query('SELECT 1')).rejects.toThrow('ECONNREFUSED');
        await server.restart();
        expect(await query('SELECT value FROM kept')).toEqual([{ value: 1 }]);
      } finally {
        await server.stop();
      }
    },
    STARTUP,
  );

  itUnless('POSTGRES_URL')(
    'also stops the processes of open connections when paused',
    async () => {
      const server = await startPostgres();
      const client = new pg.Client({ connectionString: server.url });
      client.on('error', () => undefined);
      try {
        await client.connect();
        await server.pause();
        let answered = false;
        const reply = client.query('SELECT 1').then(() => {
          answered = true;
        });
        await new Promise((resolve) => setTimeout(resolve, 200));
        expect(answered).toBe(false);
        await server.resume();
        await reply;
        expect(answered).toBe(true);
        await client.end();
      } finally {
        await server.stop();
      }
    },
    STARTUP,
  );
});

describe('mariadb', () => {
  itUnless('MYSQL_URL')(
    'keeps what was committed over a kill, in the time zone asked for',
    async () => {
      const server = await startMariaDb({ timeZone: '+05:30', durable: true });
      try {
        const query = async (text: string): Promise<unknown> => {
          const connection = await createConnection({ uri: server.url });
          const [rows] = await connection.query<RowDataPacket[]>(text);
          await connection.end();
          return rows;
        };
        expect(await query('SELECT @@time_zone AS zone')).toEqual([{ zone: '+05:30' }]);
        await query('CREATE TABLE kept AS SELECT 1 AS value');
        await server.kill();
        await server.restart();
        expect(await query('SELECT value FROM kept')).toEqual([{ value: 1 }]);
      } finally {
        await server.stop();
      }
    },
    STARTUP,
  );
});

describe('mongodb', () => {
  it(
    'answers, and comes back on the same port',
    async () => {
      const server = await startMongo();
      const read = async (): Promise<number> => {
        const client = new mongoose.mongo.MongoClient(server.url);
        try {
          return await client.db('harness').collection('kept').countDocuments({});
        } finally {
          await client.close();
        }
      };
      try {
        const client = new mongoose.mongo.MongoClient(server.url);
        await client.db('harness').collection('kept').deleteMany({});
        await client
          .db('harness')
          .collection('kept')
          .insertOne({ value: 1 }, { writeConcern: { w: 1, journal: server.keepsData } });
        await client.close();
        expect(await read()).toBe(1);
        if (!server.ours) return;
        await server.kill();
        await server.restart();
        expect(await read()).toBe(server.keepsData ? 1 : 0);
      } finally {
        await server.stop();
      }
    },
    STARTUP,
  );
});
