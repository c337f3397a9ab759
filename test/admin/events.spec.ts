import { afterEach, describe, expect, it } from '@jest/globals';
import { Controller, Get, Injectable, Module, Scope } from '@nestjs/common';
import { EventEmitterModule, OnEvent } from '@nestjs/event-emitter';
import { Test } from '@nestjs/testing';
import { setTimeout as pause } from 'node:timers/promises';
import { map } from 'rxjs';
import { OnSessionEvent, ServerSessionModule, type SessionEvent, type ServerSessionOptions } from 'nestjs-server-session';
import { MemorySessionRepository } from '../../lib/repositories/memory/memory-session.repository.js';
import { Browser } from '../e2e/browser.js';
import { type AdminApplication, handleOf, startAdmin } from './support/application.js';
import { DevicesController } from './support/devices.controller.js';

const settled = (): Promise<void> => pause(20);

@Injectable()
class Listener {
  readonly heard: SessionEvent[] = [];
  readonly ends: string[] = [];

  @OnSessionEvent() everything(event: SessionEvent): void {
    this.heard.push(event);
  }
  @OnSessionEvent('destroyed', 'revoked') end({ type }: SessionEvent): void {
    this.ends.push(type);
  }
  @OnSessionEvent() throws(): never {
    throw new Error('of a listener');
  }
  @OnSessionEvent() async rejects(): Promise<never> {
    throw new Error('of a slow listener');
  }
  @OnSessionEvent() neverEnds(): Promise<void> {
    return new Promise(() => undefined);
  }
}

@Injectable({ scope: Scope.REQUEST })
class RequestListener {
  static calls = 0;
  @OnSessionEvent() call(): void {
    RequestListener.calls++;
  }
}

describe('Session events', () => {
  let app: AdminApplication;
  const start = async (options: ServerSessionOptions = {}): Promise<SessionEvent[]> => {
    app = await startAdmin({ type: 'memory', ...options }, { providers: [Listener, RequestListener] });
    return app.app.get(Listener).heard;
  };
  afterEach(() => app?.close());

  it('tell the life of a session, once the store has confirmed it, and no id', async () => {
    const heard = await start();
    const browser = app.browser();
    const ids = new Set<string>();
    const post = async (path: string, body?: unknown): Promise<string> => {
      await browser.post(path, body);
      for (const id of browser.jar.values()) ids.add(id);
      return handleOf(browser);
    };
    const visited = await post('visit');
    const loggedIn = await post('login', { user: 'ann' });
    const renewed = await post('regenerate');
    await post('logout');
    await settled();
    expect(heard.map(({ at: _at, ...event }) => event)).toEqual([
      { type: 'created', handle: visited, principal: undefined },
      { type: 'regenerated', handle: loggedIn, previousHandle: visited, principal: 'ann' },
      { type: 'regenerated', handle: renewed, previousHandle: loggedIn, principal: 'ann' },
      { type: 'destroyed', handle: renewed, principal: 'ann', previousHandle: undefined },
    ]);
    for (const { at } of heard) expect(Math.abs(Date.now() - at.getTime())).toBeLessThan(10_000);
    for (const id of ids) expect(JSON.stringify(heard)).not.toContain(id);
  });

  it('tell of sessions that others end', async () => {
    const heard = await start({ maxSessionsPerPrincipal: 2 });
    const devices = [await app.loggedIn('ann'), await app.loggedIn('ann'), await app.loggedIn('ann')];
    await app.sessions.revoke(devices[1]!.handle);
    await app.sessions.revokeAll({ principal: 'ann' });
    await settled();
    const revoked = heard.filter(({ type }) => type === 'revoked');
    expect(revoked.map(({ handle, principal }) => [handle, principal])).toEqual(devices.map(({ handle }) => [handle, 'ann']));
    expect(app.app.get(Listener).ends).toEqual(['revoked', 'revoked', 'revoked']);
  });

  it('tell of a session that is met past its absolute lifetime, once', async () => {
    // A store that is late to forget: the record outlives its deadline.
    const repository = new MemorySessionRepository();
    const create = repository.create.bind(repository);
    repository.create = (handle, record) => create(handle, record, 60_000);
    const heard = await start({ type: 'null', repository, absoluteLifetime: '2s', lifetime: '1m' });
    const { browser, handle } = await app.loggedIn('ann');
    await pause(2050);
    await browser.clone().get('me');
    await browser.get('me');
    await settled();
    expect(heard.filter(({ type }) => type === 'expired')).toMatchObject([{ handle, principal: 'ann' }]);
  });

  it('tell nothing where the store did not do it', async () => {
    const repository = new MemorySessionRepository();
    const heard = await start({ type: 'null', repository });
    repository.create = () => Promise.reject(new Error('the disk is on fire'));
    expect((await app.browser().post('visit')).status).toBe(503);
    await settled();
    expect(heard).toEqual([]);
  });

  it('reach every subscriber of SessionService.events; one that throws harms nobody', async () => {
    await start();
    const types: string[] = [];
    app.sessions.events.subscribe(() => {
      throw new Error('of a subscriber');
    });
    app.sessions.events.pipe(map(({ type }) => type)).subscribe((type) => types.push(type));
    const { status } = await app.browser().post('visit');
    await settled();
    expect([status, types]).toEqual([201, ['created']]);
  });

  it('end when the application does', async () => {
    await start();
    let isOver = false;
    app.sessions.events.subscribe({ complete: () => (isOver = true) });
    await app.close();
    await settled();
    expect(isOver).toBe(true);
  });

  it('call no listener that is made for each request', async () => {
    await start();
    await app.browser().post('visit');
    await settled();
    expect(RequestListener.calls).toBe(0);
  });
});

describe('With @nestjs/event-emitter in the application', () => {
  it('session events are emitted there, too', async () => {
    const heard: [string, string][] = [];

    @Controller()
    class Audit {
      @Get('nothing') nothing(): void {
        // A controller can listen, too.
      }
      @OnEvent('session.created') created({ handle }: SessionEvent): void {
        heard.push(['emitter', handle]);
      }
      @OnSessionEvent('created') directly({ handle }: SessionEvent): void {
        heard.push(['decorator', handle]);
      }
    }

    @Module({
      imports: [EventEmitterModule.forRoot(), ServerSessionModule.forRoot({ type: 'memory' })],
      controllers: [DevicesController, Audit],
    })
    class Application {}

    const module = await Test.createTestingModule({ imports: [Application] }).compile();
    const app = module.createNestApplication({ logger: false });
    await app.listen(0, '127.0.0.1');
    const { text: handle } = await new Browser(await app.getUrl()).post('visit');
    await settled();
    expect(heard.sort()).toEqual([
      ['decorator', handle],
      ['emitter', handle],
    ]);
    await app.close();
  });
});
