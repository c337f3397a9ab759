import { CACHE_MANAGER, CacheInterceptor, CacheModule } from '@nestjs/cache-manager';
import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import {
  Controller,
  type ExecutionContext,
  Get,
  HttpCode,
  Inject,
  Injectable,
  Post,
  Req,
  UploadedFile,
  UseInterceptors,
} from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { FileInterceptor } from '@nestjs/platform-express';
import { ServeStaticModule } from '@nestjs/serve-static';
import type { Request } from 'express';
import { createProxyMiddleware } from 'http-proxy-middleware';
import multer from 'multer';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type ServerSession, Session, SessionService } from 'nestjs-server-session';
import { Browser } from '../e2e/browser.js';
import { TYPESCRIPT_ARGS } from '../support/typescript-child.js';
import { closeAll, repository, serve, start, whenDone } from './support/applications.js';

afterEach(closeAll);

@Controller()
class CartController {
  @HttpCode(200) @Post('visit') visit(@Session() session: ServerSession): number {
    session.set('visits', session.get<number>('visits', 0) + 1);
    return session.get('visits', 0);
  }
}

describe('@nestjs/cache-manager', () => {
  @Injectable()
  class BySession extends CacheInterceptor {
    constructor(
      @Inject(CACHE_MANAGER) cache: unknown,
      reflector: Reflector,
      private readonly sessions: SessionService,
    ) {
      super(cache, reflector);
    }

    protected override async trackBy(context: ExecutionContext): Promise<string | undefined> {
      const key = super.trackBy(context) as string | undefined;
      const session = await this.sessions.load(context);
      return key === undefined || session.isNew ? undefined : `${session.handle} ${key}`;
    }
  }

  let made = 0;

  @Controller()
  class PageController {
    @HttpCode(200) @Post('login') logIn(@Session() session: ServerSession, @Req() request: Request): void {
      session.principal = (request.body as { user: string }).user;
    }

    @UseInterceptors(BySession) @Get('mine') mine(@Session() session: ServerSession): string {
      made++;
      return `of ${session.principal}`;
    }

    @UseInterceptors(CacheInterceptor) @Get('by-address') byAddress(@Session() session: ServerSession): string {
      return `of ${session.principal}`;
    }
  }

  const open = async (): Promise<{ ada: Browser; bob: Browser }> => {
    const ada = await start({ imports: [CacheModule.register({ ttl: 600_000 })], controllers: [PageController], providers: [BySession] });
    const bob = new Browser(ada.url);
    await ada.post('login', { user: 'ada' });
    await bob.post('login', { user: 'bob' });
    made = 0;
    return { ada, bob };
  };

  it('as it comes gives the page of one user to another, because its key is the address alone', async () => {
    const { ada, bob } = await open();
    expect((await ada.get('by-address')).text).toBe('of ada');
    expect((await bob.get('by-address')).text).toBe('of ada');
  });

  it('gives each user the own page, from the cache, with the handle in its key', async () => {
    const { ada, bob } = await open();
    for (let round = 0; round < 2; round++) {
      expect((await ada.get('mine')).text).toBe('of ada');
      expect((await bob.get('mine')).text).toBe('of bob');
    }
    expect(made).toBe(2);
    await ada.post('login', { user: 'eve' });
    expect((await ada.get('mine')).text).toBe('of eve');
  });

  it('keeps nothing of who has no session', async () => {
    const { ada } = await open();
    const stranger = new Browser(ada.url);
    await stranger.get('mine');
    await stranger.get('mine');
    expect(made).toBe(2);
  });
});

describe('http-proxy-middleware', () => {
  it('passes the body on untouched, beside routes with a session, and its requests cost the store nothing', async () => {
    const target = await serve((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => response.end(`${request.method} ${request.url} ${Buffer.concat(chunks).toString()}`));
    });
    const browser = await start({ controllers: [CartController] }, (app) =>
      app.use('/proxied', createProxyMiddleware({ target, changeOrigin: true })),
    );
    expect((await browser.post('visit')).text).toBe('1');
    repository.calls = [];
    expect((await browser.post('proxied/there', { a: 1 })).text).toBe('POST /there {"a":1}');
    expect(repository.calls).toEqual([]);
    expect((await browser.post('visit')).text).toBe('2');
  });
});

describe('multer', () => {
  @Controller()
  class UploadController {
    @HttpCode(200)
    @Post('upload')
    @UseInterceptors(FileInterceptor('file', { storage: multer.memoryStorage() }))
    upload(@UploadedFile() file: { originalname: string; size: number }, @Session() session: ServerSession): string[] {
      session.set('files', [...session.get<string[]>('files', []), `${file.originalname} ${file.size}`]);
      return session.get('files', []);
    }
  }

  it('takes a file in a handler with a session, and what the handler notes is saved', async () => {
    const browser = await start({ controllers: [UploadController] });
    const upload = async (name: string): Promise<unknown> => {
      const form = new FormData();
      form.append('file', new Blob(['x'.repeat(200_000)]), name);
      const headers: Record<string, string> = browser.jar.size > 0 ? { cookie: browser.cookieHeader } : {};
      const response = await fetch(new URL('upload', browser.url), { method: 'POST', body: form, headers });
      const [id] = response.headers.getSetCookie();
      if (id !== undefined) browser.jar.set('session', /session=([^;]+)/.exec(id)![1]!);
      return response.json();
    };
    await upload('a.png');
    expect(await upload('b.png')).toEqual(['a.png 200000', 'b.png 200000']);
  });
});

describe('@nestjs/serve-static', () => {
  it.each([false, true])(
    'costs the store nothing where a file is served, with an earlyLoad that leaves files out: %s',
    async (earlyLoad) => {
      const folder = await mkdtemp(join(tmpdir(), 'static-'));
      whenDone(() => rm(folder, { recursive: true }));
      await writeFile(join(folder, 'page.html'), 'a page');
      const browser = await start({
        imports: [ServeStaticModule.forRoot({ rootPath: folder })],
        controllers: [CartController],
        options: { earlyLoad: earlyLoad ? ({ headers }) => headers['x-page'] === undefined : false },
      });
      await browser.post('visit');
      repository.calls = [];
      const page = await browser.get('page.html', { 'x-page': '1' });
      expect([page.text, page.cookies, repository.calls]).toEqual(['a page', [], []]);
      expect((await browser.post('visit')).text).toBe('2');
    },
  );
});

describe('In applications that are processes of their own', () => {
  interface Answers {
    readonly cls: Record<string, string[]>;
    readonly throttler: number[];
    readonly pino: { completed: number; withId: boolean };
  }

  const program = join(process.cwd(), 'test/interop/support/nest-packages.ts');
  const run = async (...given: string[]): Promise<unknown> => {
    const { stdout } = await promisify(execFile)(process.execPath, [...TYPESCRIPT_ARGS, program, ...given]);
    return JSON.parse(stdout.trim().split('\n').at(-1) ?? '');
  };
  let answers: Answers;

  beforeAll(async () => {
    answers = (await run()) as Answers;
  });

  it.each(['middleware', 'guard', 'interceptor'])(
    'nestjs-cls has the session that its %s puts there, and what changes in it is saved',
    (way) => {
      // One client, three others at the same time, and the first one again.
      expect(answers.cls[way]).toEqual(['1', '1', '1', '1', '2']);
    },
  );

  it('@nestjs/throttler counts by session, and by address while there is none', () => {
    // Two first requests and a third one from the same address; then three of one session and one of the other.
    expect(answers.throttler).toEqual([200, 200, 429, 200, 200, 429, 200]);
  });

  it('nestjs-pino logs no id where the cookies are redacted, and logs it otherwise', async () => {
    expect(answers.pino).toEqual({ completed: 2, withId: false });
    expect(await run('pino-as-it-comes')).toEqual({ completed: 2, withId: true });
  });
});
