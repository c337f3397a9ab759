import { type CanActivate, type ExecutionContext, ForbiddenException, Injectable } from '@nestjs/common';
import { SessionService } from 'nestjs-server-session';
import { findUser } from './users.js';

/** Lets administrators pass. Guards come before the session is there, so they ask for it: it is loaded once for the request. */
@Injectable()
export class AdministratorGuard implements CanActivate {
  constructor(private readonly sessions: SessionService) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const session = await this.sessions.load(context);
    if (findUser(session.principal)?.isAdministrator !== true)
      throw new ForbiddenException('This page is for administrators: sign in as grace.');
    return true;
  }
}
