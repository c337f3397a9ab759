import { beforeAll, describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { TYPESCRIPT_ARGS } from '../support/typescript-child.js';
import { BOOTS } from './application.js';

interface Answer {
  readonly statusCode: number;
  readonly vary?: string;
  readonly body: unknown;
  readonly cookie?: string;
}

const CHILD = join(process.cwd(), 'test/e2e/inject.child.ts');
const COUNTING = ['/value', '/request', '/throws', '/reply', '/stream', '/middleware'];

describe.each(BOOTS)('Requests by inject() to an application on Fastify that listens to no port, made by %s:', (boot) => {
  /** Of each path: two answers in one session, and one of `/value` after them. */
  let answers: Record<string, [Answer, Answer, Answer]>;
  beforeAll(async () => {
    const { stdout } = await promisify(execFile)(process.execPath, [...TYPESCRIPT_ARGS, CHILD, boot, ...COUNTING, '/refused', '/unused']);
    answers = JSON.parse(stdout) as typeof answers;
  }, 120_000);

  it.each(COUNTING)('what %s changes is there in the next request', (path) => {
    const [first, second, third] = answers[path]!;
    expect(first).toMatchObject({ vary: 'Cookie', body: { n: 1 }, cookie: expect.stringMatching(/^session=[\w-]{43}$/) });
    expect(second).toMatchObject({ body: { n: 2 } });
    expect(second.cookie).toBeUndefined();
    expect(third.body).toEqual({ n: 3 });
  });

  it('a middleware that refuses a request keeps what it changed before', () => {
    const [refused, , later] = answers['/refused']!;
    expect(refused.statusCode).toBe(403);
    expect(later.body).toEqual({ n: 3 });
  });

  it('a route that does not use the session says nothing of it', () => {
    const [{ cookie, vary }] = answers['/unused']!;
    expect([cookie, vary]).toEqual([undefined, undefined]);
  });
});
