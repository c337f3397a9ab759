import { Body, Controller, Get, Header, HttpException, Post, Redirect } from '@nestjs/common';
import { type ServerSession, Session } from 'nestjs-server-session';
import { DevicesService } from './devices.service.js';
import { devicesPage } from './pages/devices.page.js';
import { logInPage } from './pages/log-in.page.js';
import { CONTENT_SECURITY } from './pages/layout.js';
import { findUser } from './users.js';

/**
 * Log-in and "your devices", without scripts: each form posts, and is answered with a redirect back to the page.
 *
 * The forms need no token against forged requests: the cookie is `SameSite=Lax`, so a browser does not send it along with a
 * form that another site posts, and nothing here changes on GET.
 */
@Controller()
export class DevicesController {
  constructor(private readonly devices: DevicesService) {}

  @Get()
  @Header('content-type', 'text/html; charset=utf-8')
  @Header('content-security-policy', CONTENT_SECURITY)
  @Header('cache-control', 'no-store')
  async show(@Session() session: ServerSession): Promise<string> {
    const user = findUser(session.principal);
    if (user === undefined) return logInPage(session.flashes());
    const devices = await this.devices.devicesOf(session);
    return devicesPage({ user, devices, messages: session.flashes(), now: new Date() });
  }

  @Post('login')
  @Redirect('/', 303)
  async logIn(@Session() session: ServerSession, @Body('name') name: unknown, @Body('password') password: unknown): Promise<void> {
    await explain(session, () => this.devices.logIn(session, name, password));
  }

  @Post('logout')
  @Redirect('/', 303)
  async logOut(@Session() session: ServerSession): Promise<void> {
    await this.devices.logOut(session);
  }

  @Post('devices/sign-out')
  @Redirect('/', 303)
  async signOut(@Session() session: ServerSession, @Body('handle') handle: unknown): Promise<void> {
    await explain(session, () => this.devices.signOut(session, handle));
  }

  @Post('devices/sign-out-others')
  @Redirect('/', 303)
  async signOutOthers(@Session() session: ServerSession): Promise<void> {
    await explain(session, () => this.devices.signOutElsewhere(session));
  }
}

/** What a visitor got wrong is said on the page, not with an error page. */
async function explain(session: ServerSession, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof HttpException) || error.getStatus() >= 500) throw error;
    session.flash('problem', error.message);
  }
}
