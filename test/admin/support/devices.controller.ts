import { Body, Controller, Get, Post } from '@nestjs/common';
import { type ServerSession, Session } from 'nestjs-server-session';

export interface LogIn {
  readonly user: string;
  readonly device?: string;
}

/** What an application with users does with its sessions. */
@Controller()
export class DevicesController {
  /** Requests to `slow` wait for it after they have loaded and changed their session. */
  static gate: Promise<void> = Promise.resolve();
  static arrived: () => void = () => undefined;

  @Post('visit') visit(@Session() session: ServerSession): string {
    session.set('visited', true);
    return session.handle;
  }
  @Post('login') login(@Session() session: ServerSession, @Body() { user, device }: LogIn): string {
    session.principal = user;
    if (device !== undefined) session.set('device', device);
    return 'welcome';
  }
  @Post('regenerate-login') async regenerateLogin(@Session() session: ServerSession, @Body() { user }: LogIn): Promise<string> {
    await session.regenerate();
    session.principal = user;
    return 'welcome';
  }
  @Post('login-regenerate') async loginRegenerate(@Session() session: ServerSession, @Body() { user }: LogIn): Promise<string> {
    session.principal = user;
    await session.regenerate();
    return 'welcome';
  }
  @Post('update-login') async updateLogin(@Session() session: ServerSession, @Body() { user }: LogIn): Promise<void> {
    await session.update((latest) => {
      latest.principal = user;
    });
  }
  @Post('logout') async logout(@Session() session: ServerSession): Promise<void> {
    await session.destroy();
  }
  @Post('regenerate') async regenerate(@Session() session: ServerSession): Promise<string> {
    await session.regenerate();
    return 'renewed';
  }
  @Get('me') me(@Session() session: ServerSession): unknown {
    return { handle: session.handle, user: session.principal ?? null, data: { ...session } };
  }
  @Post('slow') async slow(@Session() session: ServerSession): Promise<string> {
    session.set('slow', true);
    DevicesController.arrived();
    await DevicesController.gate;
    return 'done';
  }
}
