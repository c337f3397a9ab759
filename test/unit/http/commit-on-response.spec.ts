import { afterEach, describe, expect, it } from '@jest/globals';
import { createServer, get, type IncomingHttpHeaders, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline, Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  addToHead,
  commitOnResponse,
  installOnPrototype,
  keepSession,
  type ResponseSession,
} from '../../../lib/http/commit-on-response.js';
import { eventually } from '../../support/eventually.js';

/** A session that counts its saves, and can be changed, slow or broken. */
class FakeSession implements ResponseSession {
  original: ResponseSession['original'] = undefined;
  held: ResponseSession['held'] = undefined;
  restoreHead: ResponseSession['restoreHead'] = undefined;
  isHeadSettled = false;
  isEndSettled = false;
  isDirty = false;
  saves = 0;
  underWay = 0;
  broken = false;
  readonly events: string[] = [];

  settle(): Promise<void> | undefined {
    if (!this.isDirty) return undefined;
    this.isDirty = false;
    this.underWay++;
    return sleep(10).then(() => {
      this.underWay--;
      if (this.broken) throw new Error('the disk is on fire');
      this.saves++;
    });
  }
  completeHead(response: ServerResponse, args: unknown[]): void {
    this.events.push(`head with ${this.saves} saves`);
    const once = { own: undefined, vary: 'Cookie', expose: undefined };
    addToHead(response, args, { ...once, setCookie: 'session=1' });
    this.completeHead = () => undefined;
  }
  refuse(_error: unknown, response: ServerResponse): void {
    this.events.push('refused');
    response.writeHead(503).end('refused');
  }
  cutOff(_error: unknown, response: ServerResponse): void {
    this.events.push('cut off');
    response.destroy();
  }
  abandon(): void {
    this.events.push('abandoned');
    this.settle()?.catch(() => undefined);
  }
}

interface Answer {
  readonly status: number | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

type Work = (session: FakeSession, response: ServerResponse, request: IncomingMessage) => unknown;

describe.each(['on the response itself', 'on a prototype of responses'])('The methods %s', (place) => {
  let server: Server | undefined;
  let session: FakeSession;
  afterEach(() => new Promise((resolve) => server?.close(resolve)));

  async function start(work: Work): Promise<string> {
    session = new FakeSession();
    server = createServer((request, response) => {
      if (place !== 'on the response itself') {
        const prototype = Object.create(Object.getPrototypeOf(response) as object) as object;
        installOnPrototype(prototype);
        Object.setPrototypeOf(response, prototype);
      }
      keepSession(request, session);
      commitOnResponse(session, response, true);
      void work(session, response, request);
    });
    await new Promise<void>((resolve) => server!.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  async function answerTo(work: Work): Promise<Answer> {
    const url = await start(work);
    return new Promise((resolve, reject) => {
      get(url, { agent: false }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
        response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, text }));
        response.on('error', reject);
      }).on('error', reject);
    });
  }

  it.each<[string, Work, number, string]>([
    ['end(body)', (_session, response) => response.end('body'), 200, 'body'],
    ['end()', (_session, response) => response.end(), 200, ''],
    ['writeHead and end', (_session, response) => response.writeHead(201, 'Made').end('body'), 201, 'body'],
    [
      'write, write and end',
      (_session, response) => {
        response.write('bo');
        response.write('dy');
        response.end();
      },
      200,
      'body',
    ],
    [
      'flushHeaders',
      (_session, response) => {
        response.flushHeaders();
        response.end('body');
      },
      200,
      'body',
    ],
    ['a pipe', (_session, response) => Readable.from(['bo', 'dy']).pipe(response), 200, 'body'],
    ['a pipeline', (_session, response) => pipeline(Readable.from(['bo', 'dy']), response, () => undefined), 200, 'body'],
  ])('hold back %s until the session is saved', async (_how, work, status, text) => {
    const answer = await answerTo((own, response, request) => {
      own.isDirty = true;
      work(own, response, request);
    });
    expect([answer.status, answer.text, session.saves, session.underWay]).toEqual([status, text, 1, 0]);
    expect(session.events).toEqual(['head with 1 saves']);
    expect([answer.headers['set-cookie'], answer.headers.vary]).toEqual([['session=1'], 'Cookie']);
  });

  it('let a clean response go at once', async () => {
    let isSent = false;
    const answer = await answerTo((_session, response) => {
      response.end('body');
      isSent = response.headersSent && response.writableEnded;
    });
    expect([answer.text, isSent, session.saves]).toEqual(['body', true, 0]);
  });

  it('hold back the end of a stream for what was changed after its first byte', async () => {
    const answer = await answerTo(async (own, response) => {
      response.write('a');
      await sleep(5);
      own.isDirty = true;
      response.end('b');
    });
    expect([answer.text, session.saves, session.events]).toEqual(['ab', 1, ['head with 0 saves']]);
  });

  it('keep large streams in order, and go on when they may', async () => {
    const chunks = Array.from({ length: 200 }, (_, index) => String(index % 10).repeat(10_000));
    const answer = await answerTo((own, response) => {
      own.isDirty = true;
      Readable.from(chunks).pipe(response);
    });
    expect([answer.text === chunks.join(''), session.saves]).toEqual([true, 1]);
  });

  it('say of a response that waits that it was sent, and of one that does not the truth', async () => {
    const seen: boolean[] = [];
    const look = ({ headersSent, writableEnded }: ServerResponse): void => void seen.push(headersSent, writableEnded);
    await answerTo(async (own, response) => {
      own.isDirty = true;
      look(response);
      response.write('a');
      look(response);
      response.end();
      look(response);
      await new Promise((resolve) => response.once('finish', resolve));
      look(response);
    });
    expect(seen).toEqual([false, false, true, false, true, true, true, true]);
  });

  it('let a second answer change nothing of the first one', async () => {
    const answer = await answerTo((own, response) => {
      own.isDirty = true;
      response.setHeader('x-answer', 'first');
      response.end('first');
      response.statusCode = 500;
      response.setHeader('x-answer', 'second');
      response.setHeader('content-length', 99);
      response.end('the second');
    });
    expect([answer.status, answer.headers['x-answer'], answer.text]).toEqual([200, 'first', 'first']);
  });

  it('answer with an error where the save fails before the first byte', async () => {
    const answer = await answerTo((own, response) => {
      own.broken = own.isDirty = true;
      response.writeHead(200, { 'content-type': 'text/plain' });
      response.write('bo');
      response.end('dy');
    });
    expect([answer.status, answer.text, session.events]).toEqual([503, 'refused', ['refused', 'head with 0 saves']]);
  });

  it('cut a response off where a save fails after the first byte', async () => {
    const answer = answerTo((own, response) => {
      response.write('bo');
      own.broken = own.isDirty = true;
      response.end('dy');
    });
    await expect(answer).rejects.toThrow();
    expect(session.events).toEqual(['head with 0 saves', 'cut off']);
  });

  it('cut a response off where Node refuses what was held back', async () => {
    const answer = answerTo((own, response) => {
      own.isDirty = true;
      response.writeHead(200, { 'x-broken': 'a\nb' });
      response.end('body');
    });
    await expect(answer).rejects.toThrow();
    expect(session.events.at(-1)).toBe('cut off');
  });

  it('save what a client that leaves has changed', async () => {
    const url = await start((own, response) => {
      response.write('a');
      own.isDirty = true;
    });
    const request = get(url, { agent: false }, (response) => response.destroy());
    request.on('error', () => undefined);
    await eventually(async () => expect([session.events.at(-1), session.saves]).toEqual(['abandoned', 1]), 2000);
  });

  it.each<[string, unknown[], IncomingHttpHeaders]>([
    ['an object', [200, { 'Set-Cookie': 'a=1', Vary: 'Accept', 'X-Own': '1' }], { 'x-own': '1' }],
    ['an object with other cases and a list', [200, 'Fine', { 'SET-COOKIE': ['a=1'], vARY: 'Accept' }], {}],
    ['a flat list', [200, ['Set-Cookie', 'a=1', 'Vary', 'Accept', 'X-Own', '1']], { 'x-own': '1' }],
    [
      'a list of pairs',
      [
        200,
        [
          ['Set-Cookie', 'a=1'],
          ['Vary', 'Accept'],
        ],
      ],
      {},
    ],
  ])('add to the headers that writeHead is given as %s', async (_form, args, more) => {
    const answer = await answerTo((_session, response) => {
      response.setHeader('vary', 'Origin');
      (response.writeHead as (...given: unknown[]) => ServerResponse)(...args);
      response.end();
    });
    expect(answer.headers).toMatchObject({ 'set-cookie': ['a=1', 'session=1'], vary: 'Accept, Cookie', ...more });
  });

  it('add to headers that were set before, and replace none', async () => {
    const answer = await answerTo((_session, response) => {
      response.setHeader('set-cookie', 'a=1');
      response.setHeader('vary', ['Accept', 'Origin']);
      response.end();
    });
    expect([answer.headers['set-cookie'], answer.headers.vary]).toEqual([['a=1', 'session=1'], 'Accept, Origin, Cookie']);
  });

  it('work on top of methods that a middleware has replaced', async () => {
    const calls: string[] = [];
    session = new FakeSession();
    const answer = await answerTo((own, response) => {
      const { end } = response;
      response.end = ((...args: never[]) => {
        calls.push(`end with ${own.saves} saves`);
        return (end as (...given: never[]) => ServerResponse).apply(response, args);
      }) as ServerResponse['end'];
      own.isDirty = true;
      response.end('body');
    });
    expect([answer.text, session.saves, calls.length]).toEqual(['body', 1, 1]);
  });
});
