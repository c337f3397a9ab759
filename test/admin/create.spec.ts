import { afterEach, describe, expect, it } from '@jest/globals';
import { Controller, Get } from '@nestjs/common';
import { NullSessionError, ReservedSessionKeyError, type ServerSession, Session, SessionService } from 'nestjs-server-session';
import { createTestSession } from 'nestjs-server-session/testing';
import supertest from 'supertest';
import { ADAPTERS, type RunningApplication, startApplication } from '../e2e/application.js';

@Controller()
class ShowController {
  @Get() show(@Session() session: ServerSession): unknown {
    return { data: { ...session }, principal: session.principal, meta: session.meta, lifetime: session.lifetime };
  }
}

describe.each(ADAPTERS)('SessionService.create() on %s', (adapter) => {
  let running: RunningApplication | undefined;
  afterEach(() => running?.close());

  const start = async (session: object): Promise<SessionService> => {
    running = await startApplication({ adapter, session, controllers: [ShowController] });
    return running.app.get(SessionService);
  };

  it.each([{}, { useSigner: true, secret: 'abc' }, { cookie: { name: 'id' } }])(
    'stores a session and gives the cookie that opens it (%j)',
    async (options) => {
      const service = await start({ type: 'memory', ...options });
      const { handle, cookie } = await service.create({
        data: { basket: ['tea'] },
        principal: 'ada',
        lifetime: '2d',
        meta: { device: 'phone' },
      });
      const { body } = await supertest(running!.url).get('/').set('Cookie', cookie).expect(200);
      expect(body).toEqual({ data: { basket: ['tea'] }, principal: 'ada', meta: { device: 'phone' }, lifetime: 172_800 });
      expect((await service.get(handle))?.principal).toBe('ada');
      expect(await service.count({ principal: 'ada' })).toBe(1);
      expect(cookie).not.toContain(handle);
    },
  );

  it('stores an empty session too, and refuses what a session cannot hold', async () => {
    const service = await start({ type: 'memory' });
    const { handle } = await service.create();
    expect((await service.get(handle))?.keys()).toEqual([]);
    await expect(service.create({ data: { sid: 'x' } })).rejects.toThrow(ReservedSessionKeyError);
    await expect(service.create({ principal: '' })).rejects.toThrow(TypeError);
    await expect(service.create({ lifetime: 'soon' })).rejects.toThrow(TypeError);
    expect(await service.count()).toBe(1);
  });

  it('is refused where no back end is configured', async () => {
    await expect((await start({})).create({ data: { a: 1 } })).rejects.toThrow(NullSessionError);
  });
});

describe('createTestSession()', () => {
  it('gives a session object without a module or a store, which behaves as in a request', async () => {
    const session = createTestSession({ basket: ['tea'] }, { principal: 'ada', lifetime: 60, permanent: false });
    expect([{ ...session }, session.principal, session.lifetime, session.permanent, session.isNew]).toEqual([
      { basket: ['tea'] },
      'ada',
      60,
      false,
      true,
    ]);
    await session.save();
    const id = session.sid;
    await session.regenerate();
    expect([session.isNew, session.sid === id, session.get('basket')]).toEqual([false, false, ['tea']]);
    await session.destroy();
    expect([{ ...session }, session.isNew]).toEqual([{}, true]);
    expect(() => createTestSession({ sid: 'x' })).toThrow(ReservedSessionKeyError);
  });
});
