import { Body, Controller, Get, Header, Post, Redirect } from '@nestjs/common';
import { type ServerSession, Session, SessionService } from 'nestjs-server-session';
import { chatPage, logInPage } from './chat.page.js';
import { CHAT_SCRIPT } from './chat.script.js';

/** Scripts and sockets of this server only, and no other site may show the pages in a frame. */
const CONTENT_SECURITY =
  "default-src 'none'; style-src 'unsafe-inline'; script-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/**
 * Log-in and sign-out over HTTP: a cookie can only be set there, not over a socket.
 *
 * The forms need no token against forged requests: the cookie is `SameSite=Lax`, so a browser does not send it along with a
 * form that another site posts, or with a socket that another site opens.
 */
@Controller()
export class ChatController {
  constructor(private readonly sessions: SessionService) {}

  @Get()
  @Header('content-type', 'text/html; charset=utf-8')
  @Header('content-security-policy', CONTENT_SECURITY)
  @Header('cache-control', 'no-store')
  show(@Session() session: ServerSession): string {
    const { principal } = session;
    return principal === undefined ? logInPage(session.flashes()) : chatPage(principal);
  }

  @Get('chat.js')
  @Header('content-type', 'text/javascript; charset=utf-8')
  script(): string {
    return CHAT_SCRIPT;
  }

  /** A real application checks a password here. */
  @Post('login')
  @Redirect('/', 303)
  async logIn(@Session() session: ServerSession, @Body('name') name: unknown, @Body('remember') remember: unknown): Promise<void> {
    if (typeof name !== 'string' || name.trim() === '' || name.length > 40) {
      session.flash('problem', 'Give a name of 1 to 40 characters.');
      return;
    }
    // An id that was known before the log-in must not be one that is logged in now.
    await session.regenerate();
    session.principal = name.trim();
    // "Remember me": 30 days, also when the browser is closed. Else the cookie ends with the browser.
    session.lifetime = remember === 'on' ? '30d' : undefined;
    session.permanent = remember === 'on';
  }

  /** Ends the session; the farewell is the first thing in a new one, with a new id. */
  @Post('logout')
  @Redirect('/', 303)
  async logOut(@Session() session: ServerSession): Promise<void> {
    await session.destroy();
    session.flash('notice', 'You are signed out.');
  }

  @Post('logout-everywhere')
  @Redirect('/', 303)
  async logOutEverywhere(@Session() session: ServerSession): Promise<void> {
    const { principal, handle } = session;
    if (principal === undefined) return;
    // This session comes last: if the store fails before, the user is still signed in and can try again.
    await this.sessions.revokeAll({ principal, except: handle });
    await session.destroy();
    session.flash('notice', 'You are signed out everywhere.');
  }
}
