import { afterEach, describe, expect, it } from '@jest/globals';
import express, { type Express, type Request } from 'express';
import expressSession from 'express-session';
import type { SessionData } from 'express-session';
import { Browser } from '../e2e/browser.js';
import { closeAll, repository, serve, start } from './support/applications.js';

afterEach(closeAll);

/** What a library sees of `req.session`, whichever of the two it is. */
interface Seen {
  [key: string]: unknown;
  readonly id: string;
  readonly cookie: { maxAge?: number | null; expires?: Date | false | null; readonly originalMaxAge: number | null };
  regenerate(callback: (error?: unknown) => void): unknown;
  destroy(callback: (error?: unknown) => void): unknown;
  save(callback: (error?: unknown) => void): unknown;
  reload(callback: (error?: unknown) => void): unknown;
  touch(): unknown;
}

/** The session as the request has it now: another object after regenerate, destroy and reload. */
const of = (request: Request): Seen => request.session as unknown as Seen;

interface Running {
  readonly browser: Browser;
  /** Makes the store fail, or work again. */
  down(down: boolean): void;
}

interface Options {
  /** Milliseconds; without it the cookie ends with the browser. */
  readonly maxAge?: number;
}

type Start = (routes: (app: Express) => void, options?: Options) => Promise<Running>;

class BreakableStore extends expressSession.MemoryStore {
  isDown = false;

  override get(id: string, callback: (error: unknown, session?: SessionData | null) => void): void {
    if (this.isDown) setImmediate(callback, new Error('down'));
    else super.get(id, callback);
  }

  override set(id: string, session: SessionData, callback?: (error?: unknown) => void): void {
    if (this.isDown) setImmediate(() => callback?.(new Error('down')));
    else super.set(id, session, callback);
  }

  override destroy(id: string, callback?: (error?: unknown) => void): void {
    if (this.isDown) setImmediate(() => callback?.(new Error('down')));
    else super.destroy(id, callback);
  }
}

const theirs: Start = async (routes, { maxAge } = {}) => {
  const store = new BreakableStore();
  const app = express();
  // What Express says of a failed save is no matter here.
  app.set('env', 'test');
  app.use(
    expressSession({
      name: 'session',
      secret: 'secret',
      resave: false,
      saveUninitialized: false,
      store,
      cookie: maxAge === undefined ? {} : { maxAge },
    }),
  );
  routes(app);
  return { browser: new Browser(await serve(app)), down: (down) => void (store.isDown = down) };
};

const ours: Start = async (routes, { maxAge } = {}) => {
  const inner = express();
  routes(inner);
  const browser = await start(
    { options: { earlyLoad: true, ...(maxAge === undefined ? { permanent: false } : { lifetime: `${maxAge}ms` }) } },
    (app) => app.use(inner),
  );
  return { browser, down: (down) => void (repository.broken = new Set(down ? ['create', 'read', 'update', 'delete'] : [])) };
};

const shop = (app: Express): void => {
  app.get('/untouched', (request, response) => void response.json(of(request)['item'] ?? null));
  app.get('/put/:item', (request, response) => {
    of(request)['item'] = request.params.item;
    response.json(request.sessionID);
  });
  app.get('/id', (request, response) => void response.json([of(request).id, request.sessionID]));
};

describe.each<[string, Start]>([
  ['express-session', theirs],
  ['this package', ours],
])('req.session by %s', (_name, launch) => {
  it('sends its cookie with the first change, and none while nothing changes', async () => {
    const { browser } = await launch(shop);
    expect((await browser.get('untouched')).cookies).toEqual([]);
    expect((await browser.get('put/tea')).cookies.map(({ name }) => name)).toEqual(['session']);
    const after = await browser.get('untouched');
    expect([after.json, after.cookies]).toEqual(['tea', []]);
  });

  it('has its id as session.id and req.sessionID, the same with each request', async () => {
    const { browser } = await launch(shop);
    const { json: id } = await browser.get('put/tea');
    expect((await browser.get('id')).json).toEqual([id, id]);
  });

  it('saves a nested change', async () => {
    const { browser } = await launch((app) => {
      app.get('/add', (request, response) => {
        const cart = (of(request)['cart'] ??= { items: [] }) as { items: number[] };
        cart.items.push(1);
        response.json(cart.items.length);
      });
    });
    for (const size of [1, 2, 3]) expect((await browser.get('add')).json).toBe(size);
  });

  it('has a new id and no data after regenerate(callback), and the old id is dead', async () => {
    const { browser } = await launch((app) => {
      shop(app);
      app.get('/regenerate', (request, response) => {
        of(request).regenerate(() => {
          const item = of(request)['item'] ?? null;
          of(request)['user'] = 'ada';
          response.json([item, request.sessionID]);
        });
      });
      app.get('/user', (request, response) => void response.json(of(request)['user'] ?? null));
    });
    const { json: before } = await browser.get('put/tea');
    const old = browser.clone();
    const [item, id] = (await browser.get('regenerate')).json as [unknown, string];
    expect(item).toBeNull();
    expect(id).not.toBe(before);
    expect((await browser.get('user')).json).toBe('ada');
    expect((await browser.get('id')).json).toEqual([id, id]);
    expect([(await old.get('untouched')).json, (await old.get('user')).json]).toEqual([null, null]);
  });

  it('is gone after destroy(callback)', async () => {
    const { browser } = await launch((app) => {
      shop(app);
      app.get('/destroy', (request, response) => void of(request).destroy((error) => response.json(error ?? 'gone')));
    });
    await browser.get('put/tea');
    const copy = browser.clone();
    expect((await browser.get('destroy')).json).toBe('gone');
    expect([(await browser.get('untouched')).json, (await copy.get('untouched')).json]).toEqual([null, null]);
  });

  it('is stored when save(callback) calls back, before a redirect', async () => {
    const { browser } = await launch((app) => {
      shop(app);
      app.get('/login', (request, response) => {
        of(request)['item'] = 'saved';
        of(request).save(() => response.redirect('/untouched'));
      });
    });
    const answer = await browser.get('login');
    expect([answer.status, answer.headers.get('location')]).toEqual([302, '/untouched']);
    expect((await browser.get('untouched')).json).toBe('saved');
  });

  it('drops what is not saved with reload(callback)', async () => {
    const { browser } = await launch((app) => {
      shop(app);
      app.get('/reload', (request, response) => {
        of(request)['item'] = 'unsaved';
        of(request).reload(() => response.json(of(request)['item']));
      });
    });
    await browser.get('put/tea');
    expect((await browser.get('reload')).json).toBe('tea');
    expect((await browser.get('untouched')).json).toBe('tea');
  });

  it('goes on after touch()', async () => {
    const { browser } = await launch(
      (app) => {
        shop(app);
        app.get('/touch', (request, response) => {
          of(request).touch();
          response.json(of(request).cookie.maxAge);
        });
      },
      { maxAge: 600_000 },
    );
    await browser.get('put/tea');
    const left = (await browser.get('touch')).json as number;
    expect(left).toBeGreaterThan(500_000);
    expect(left).toBeLessThanOrEqual(600_000);
    expect((await browser.get('untouched')).json).toBe('tea');
  });

  const cookieRoutes = (app: Express): void => {
    app.get('/set/:member/:value', (request, response) => {
      const { member } = request.params;
      const value = JSON.parse(request.params.value) as number | null | false;
      of(request)['item'] = value;
      if (member === 'expires') of(request).cookie.expires = typeof value === 'number' ? new Date(Date.now() + value) : value;
      else of(request).cookie.maxAge = value as number | null;
      response.json('set');
    });
    app.get('/cookie', (request, response) => {
      const { maxAge, expires, originalMaxAge } = of(request).cookie;
      response.json({ maxAge, originalMaxAge, left: expires ? expires.getTime() - Date.now() : null });
    });
  };

  it.each(['maxAge', 'expires'])(
    'has the lifetime that cookie.%s sets: in the cookie that is sent, and to be read later',
    async (member) => {
      const { browser } = await launch(cookieRoutes, { maxAge: 600_000 });
      const [cookie] = (await browser.get(`set/${member}/7200000`)).cookies;
      const left = (cookie?.expires?.getTime() ?? 0) - Date.now();
      const seen = (await browser.get('cookie')).json as { maxAge: number; originalMaxAge: number; left: number };
      for (const time of [left, seen.maxAge, seen.left, seen.originalMaxAge]) {
        expect(time).toBeGreaterThan(7_000_000);
        expect(time).toBeLessThanOrEqual(7_200_000);
      }
    },
  );

  it.each(['expires/false', 'expires/null', 'maxAge/null'])('has a cookie that ends with the browser after cookie.%s', async (set) => {
    const { browser } = await launch(cookieRoutes, { maxAge: 600_000 });
    const [cookie] = (await browser.get(`set/${set}`)).cookies;
    expect([cookie?.name, cookie?.expires, cookie?.maxAge]).toEqual(['session', undefined, undefined]);
    const { left, maxAge } = (await browser.get('cookie')).json as { left: unknown; maxAge: unknown };
    expect([left, maxAge || null]).toEqual([null, null]);
  });

  it.each(['save', 'reload', 'regenerate', 'destroy'] as const)(
    'calls the callback of %s once, with the error, when the store is down',
    async (method) => {
      const running = await launch((app) => {
        shop(app);
        app.get('/fail', (request, response) => {
          const errors: boolean[] = [];
          of(request)['item'] = 'changed';
          running.down(true);
          of(request)[method]((error?: unknown) => {
            running.down(false);
            errors.push(error instanceof Error);
            setTimeout(() => response.json(errors), 50);
          });
        });
      });
      await running.browser.get('put/tea');
      expect((await running.browser.get('fail')).json).toEqual([true]);
    },
  );
});

describe('What differs on purpose', () => {
  const both = async (routes: (app: Express) => void, tell: (running: Running) => Promise<unknown>): Promise<[unknown, unknown]> => [
    await tell(await theirs(routes)),
    await tell(await ours(routes)),
  ];

  it('destroy: the cookie is cleared too, and req.session stays an object', async () => {
    const routes = (app: Express): void => {
      shop(app);
      app.get('/destroy', (request, response) => void of(request).destroy(() => response.json(typeof request.session)));
    };
    const told = await both(routes, async ({ browser }) => {
      await browser.get('put/tea');
      const answer = await browser.get('destroy');
      return [answer.json, answer.cookies.map(({ maxAge }) => maxAge)];
    });
    expect(told).toEqual([
      ['undefined', []],
      ['object', [0]],
    ]);
  });

  it('req.session = null ends the session', async () => {
    const routes = (app: Express): void => {
      shop(app);
      app.get('/null', (request, response) => {
        (request as { session: unknown }).session = null;
        response.json('null');
      });
    };
    const told = await both(routes, async ({ browser }) => {
      await browser.get('put/tea');
      await browser.get('null');
      return (await browser.get('untouched')).json;
    });
    expect(told).toEqual(['tea', null]);
  });

  it('a change that could not be saved is answered with 503', async () => {
    const routes = (app: Express): void => {
      shop(app);
      app.get('/lost', (request, response) => {
        running.down(true);
        of(request)['item'] = 'lost';
        response.json('saved');
      });
    };
    let running: Running;
    const told = await both(routes, async (given) => {
      running = given;
      await running.browser.get('put/tea');
      return (await running.browser.get('lost').catch(() => ({ status: 'cut off' }))).status;
    });
    expect(told).toEqual([200, 503]);
  });

  it('parallel requests that change different keys keep the changes of both', async () => {
    let waiting: (() => void)[] = [];
    const routes = (app: Express): void => {
      app.get('/set/:key', (request, response) => {
        of(request)[request.params.key] = true;
        if (request.params.key === 'first') return void response.json('set');
        waiting.push(() => response.json('set'));
        if (waiting.length === 2) for (const go of waiting) go();
      });
      app.get('/keys', (request, response) => void response.json(['a', 'b'].filter((key) => of(request)[key] === true).length));
    };
    const told = await both(routes, async ({ browser }) => {
      waiting = [];
      await browser.get('set/first');
      await Promise.all([browser.get('set/a'), browser.get('set/b')]);
      return (await browser.get('keys')).json;
    });
    expect(told).toEqual([1, 2]);
  });

  it('reload of a session that has ended meanwhile is no error: it is empty and new', async () => {
    const routes = (app: Express): void => {
      shop(app);
      app.get('/destroy', (request, response) => void of(request).destroy(() => response.json('gone')));
      app.get('/reload', (request, response) => {
        void fetch(new URL('destroy', at), { headers: { cookie: request.headers.cookie ?? '' } }).then(() =>
          of(request).reload((error) => response.json(error instanceof Error ? 'error' : Object.keys(of(request)))),
        );
      });
    };
    let at = '';
    const told = await both(routes, async ({ browser }) => {
      at = browser.url;
      await browser.get('put/tea');
      return (await browser.get('reload')).json;
    });
    expect(told).toEqual(['error', []]);
  });
});
