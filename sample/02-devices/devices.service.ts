import { Injectable, NotFoundException, UnauthorizedException } from '@nestjs/common';
import { type ServerSession, SessionService } from 'nestjs-server-session';
import { describeAgent } from './device.js';
import { checkPassword } from './users.js';

/** A session as its owner knows it. */
export interface Device {
  readonly handle: string;
  readonly name: string;
  readonly address: string;
  readonly signedInAt: Date;
  readonly lastUsedAt: Date;
  /** The one that asks. */
  readonly isThis: boolean;
}

/** More than anybody looks through. */
const MOST = 100;

/** Where a user is signed in, and signing out there. */
@Injectable()
export class DevicesService {
  constructor(private readonly sessions: SessionService) {}

  async logIn(session: ServerSession, name: unknown, password: unknown): Promise<void> {
    const user = checkPassword(name, password);
    if (user === undefined) throw new UnauthorizedException('Name and password do not belong together.');
    // Whoever knew the id from before the log-in does not have a session that is logged in now.
    await session.regenerate();
    session.principal = user.name;
    session.flash('notice', `Welcome, ${user.name}.`);
  }

  /** Ends the session; the farewell is the first thing in a new one, with a new id. */
  async logOut(session: ServerSession): Promise<void> {
    await session.destroy();
    session.flash('notice', 'You are signed out.');
  }

  /** The devices of whoever asks: this one first, then those used last. */
  async devicesOf(session: ServerSession): Promise<Device[]> {
    const { sessions } = await this.sessions.list({ principal: ownerOf(session), limit: MOST });
    const devices = sessions.map(({ handle, meta, createdAt, lastAccessedAt }) => ({
      handle,
      name: describeAgent(meta?.['agent']),
      address: typeof meta?.['address'] === 'string' ? meta['address'] : 'unknown address',
      signedInAt: createdAt,
      lastUsedAt: lastAccessedAt,
      isThis: handle === session.handle,
    }));
    return devices.sort((a, b) => Number(b.isThis) - Number(a.isThis) || b.lastUsedAt.getTime() - a.lastUsedAt.getTime());
  }

  /** Signs out one device. The handle comes from a form, so it may be anybody's: only the owner's own sessions are ended. */
  async signOut(session: ServerSession, handle: unknown): Promise<void> {
    const found = typeof handle === 'string' ? await this.sessions.get(handle) : undefined;
    if (found === undefined || found.principal !== ownerOf(session)) throw new NotFoundException('That device is not signed in any more.');
    if (found.handle === session.handle) return this.logOut(session);
    await this.sessions.revoke(found.handle);
    session.flash('notice', `${describeAgent(found.meta?.['agent'])} is signed out.`);
  }

  async signOutElsewhere(session: ServerSession): Promise<void> {
    const ended = await this.sessions.revokeAll({ principal: ownerOf(session), except: session.handle });
    session.flash('notice', ended === 1 ? 'One other device is signed out.' : `${ended} other devices are signed out.`);
  }
}

function ownerOf({ principal }: ServerSession): string {
  if (principal === undefined) throw new UnauthorizedException('Sign in first.');
  return principal;
}
