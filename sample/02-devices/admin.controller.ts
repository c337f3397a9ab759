import { Controller, Get, Header, type MessageEvent, Sse, UseGuards } from '@nestjs/common';
import { type ServerSession, Session } from 'nestjs-server-session';
import { map, type Observable } from 'rxjs';
import { AdministratorGuard } from './administrator.guard.js';
import { LiveCounts } from './live-counts.service.js';
import { adminPage } from './pages/admin.page.js';
import { CONTENT_SECURITY } from './pages/layout.js';
import { LIVE_COUNTS_SCRIPT } from './pages/live-counts.script.js';
import { findUser } from './users.js';

/** Who is signed in, as it happens. */
@Controller('admin')
@UseGuards(AdministratorGuard)
export class AdminController {
  constructor(private readonly counts: LiveCounts) {}

  @Get()
  @Header('content-type', 'text/html; charset=utf-8')
  @Header('content-security-policy', CONTENT_SECURITY)
  @Header('cache-control', 'no-store')
  async show(@Session() session: ServerSession): Promise<string> {
    return adminPage(findUser(session.principal), await this.counts.now());
  }

  @Get('live-counts.js')
  @Header('content-type', 'text/javascript; charset=utf-8')
  script(): string {
    return LIVE_COUNTS_SCRIPT;
  }

  @Sse('events')
  live(@Session() session: ServerSession): Observable<MessageEvent> {
    return this.counts.watch(session.handle).pipe(map((data) => ({ data })));
  }
}
