import type { Type } from '@nestjs/common';
import { type ServerSessionOptions, SessionService } from 'nestjs-server-session';
import { type Adapter, type RunningApplication, startApplication } from '../../e2e/application.js';
import { Browser } from '../../e2e/browser.js';
import { DevicesController } from './devices.controller.js';

export interface AdminApplication extends RunningApplication {
  readonly sessions: SessionService;
  browser(): Browser;
  /** A new browser with a session of this user. */
  loggedIn(user: string, device?: string): Promise<Device>;
}

export interface Device {
  readonly browser: Browser;
  readonly handle: string;
}

export async function startAdmin(
  session: ServerSessionOptions,
  { providers = [], adapter = 'express' }: { providers?: Type[]; adapter?: Adapter } = {},
): Promise<AdminApplication> {
  const running = await startApplication({ adapter, session, controllers: [DevicesController], providers });
  const browser = (): Browser => new Browser(running.url);
  return {
    ...running,
    sessions: running.app.get(SessionService),
    browser,
    loggedIn: async (user, device) => {
      const visitor = browser();
      const { status, text } = await visitor.post('login', { user, device });
      if (status !== 201) throw new Error(`log-in: ${status} ${text}`);
      return { browser: visitor, handle: await handleOf(visitor) };
    },
  };
}

interface Me {
  readonly handle: string;
  readonly user: string | null;
  readonly data: Record<string, unknown>;
}

export async function whoAmI(browser: Browser): Promise<Me> {
  return (await browser.get('me')).json as Me;
}

export async function handleOf(browser: Browser): Promise<string> {
  return (await whoAmI(browser)).handle;
}
