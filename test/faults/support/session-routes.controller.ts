import { Body, Controller, Get, Inject, Param, Post, Res } from '@nestjs/common';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ServerSession, Session, SessionService } from '../../../lib/index.js';

/** What the fault tests do with a session, over HTTP. */
@Controller()
export class SessionRoutesController {
  constructor(@Inject(SessionService) private readonly sessions: SessionService) {}

  @Get('data') data(@Session() session: ServerSession): unknown {
    return { ...session };
  }

  /** Takes so long, and no session. */
  @Get('wait/:milliseconds') async wait(@Param('milliseconds') milliseconds: string): Promise<void> {
    await sleep(Number(milliseconds));
  }

  /** As a page does that also looks at the session, but can do without. */
  @Get('page') page(@Session() session: ServerSession): string {
    return `hello ${String(session.get('name', 'stranger'))}`;
  }

  @Post('set/:key/:value') set(@Session() session: ServerSession, @Param('key') key: string, @Param('value') value: string): string {
    session.set(key, value);
    return 'set';
  }

  /** Begins a session, and tells under which handle it is going to be stored, also where that fails. */
  @Post('begin/:bytes') begin(
    @Session() session: ServerSession,
    @Param('bytes') bytes: string,
    @Res({ passthrough: true }) response: { setHeader(name: string, value: string): void },
  ): string {
    response.setHeader('x-handle', session.handle);
    session.set('note', 'x'.repeat(Number(bytes)));
    return 'begun';
  }

  /** How many of these handles lead to a session. */
  @Post('stored') async stored(@Body() handles: string[]): Promise<number> {
    let stored = 0;
    for (const handle of handles) if ((await this.sessions.get(handle)) !== undefined) stored++;
    return stored;
  }

  /** Holds the session open for a while between load and save. */
  @Post('slow/:milliseconds/:key/:value') async slow(
    @Session() session: ServerSession,
    @Param('milliseconds') milliseconds: string,
    @Param('key') key: string,
    @Param('value') value: string,
  ): Promise<string> {
    session.set(key, value);
    await sleep(Number(milliseconds));
    return 'set';
  }

  @Post('delete/:key') delete(@Session() session: ServerSession, @Param('key') key: string): boolean {
    return session.delete(key);
  }

  @Post('increment/:key') increment(@Session() session: ServerSession, @Param('key') key: string): Promise<number> {
    return session.update((latest) => {
      const next = latest.get(key, 0) + 1;
      latest.set(key, next);
      return next;
    });
  }

  @Post('flash/:message') flash(@Session() session: ServerSession, @Param('message') message: string): string {
    session.flash('info', message);
    return 'left';
  }

  @Post('flashes') flashes(@Session() session: ServerSession): unknown[] {
    return session.flashes('info');
  }

  @Post('log-in/:user') async logIn(@Session() session: ServerSession, @Param('user') user: string): Promise<string> {
    await session.regenerate();
    session.principal = user;
    return 'welcome';
  }

  @Post('regenerate') async regenerate(@Session() session: ServerSession): Promise<string> {
    await session.regenerate();
    return 'renewed';
  }

  @Post('destroy') async destroy(@Session() session: ServerSession): Promise<string> {
    await session.destroy();
    return 'gone';
  }
}
