import { Controller, Get } from '@nestjs/common';
import { type ServerSession, Session } from 'nestjs-server-session';

/** One route for each thing that an application does with a session. */
@Controller()
export class SessionWorkController {
  @Get('unused') unused(): string {
    return 'ok';
  }
  @Get('read') read(@Session() session: ServerSession): unknown {
    return { n: session.get('n', null) };
  }
  @Get('change') change(@Session() session: ServerSession): number {
    session.set('n', session.get('n', 0) + 1);
    return session.get('n', 0);
  }
  @Get('same') same(@Session() session: ServerSession): string {
    session.set('n', session.get('n', 0));
    return 'as it was';
  }
  @Get('fill') fill(@Session() session: ServerSession): string {
    session.set('n', 0);
    for (let key = 0; key < 20; key++) session.set(`key${key}`, { list: [key] });
    return 'ok';
  }
  @Get('nested') nested(@Session() session: ServerSession): unknown {
    return session.get('key7');
  }
  @Get('nested-change') nestedChange(@Session() session: ServerSession): string {
    session.get<{ list: number[] }>('key7')?.list.push(0);
    return 'ok';
  }
  @Get('flash') flash(@Session() session: ServerSession): string {
    session.flash('notice', 'done');
    return 'ok';
  }
  @Get('flashes') flashes(@Session() session: ServerSession): unknown {
    return session.flashes('notice');
  }
  @Get('regenerate') async regenerate(@Session() session: ServerSession): Promise<string> {
    await session.regenerate();
    return 'ok';
  }
  @Get('login') async login(@Session() session: ServerSession): Promise<string> {
    await session.regenerate();
    session.principal = 'somebody';
    return 'ok';
  }
  @Get('logout') async logout(@Session() session: ServerSession): Promise<string> {
    await session.destroy();
    return 'ok';
  }
}
