import { type BeforeApplicationShutdown, Injectable } from '@nestjs/common';
import { SessionService } from 'nestjs-server-session';
import { auditTime, exhaustMap, filter, interval, merge, type Observable, startWith, Subject, takeUntil } from 'rxjs';
import { USER_NAMES } from './users.js';

export interface Counts {
  readonly all: number;
  readonly anonymous: number;
  readonly users: Readonly<Record<string, number>>;
}

/** Milliseconds: after an event, those that follow at once are waited for. */
const PAUSE = 200;
/** Milliseconds: what other processes do, and what the store forgets by itself, makes no event here. */
const AT_LEAST_EVERY = 10_000;

/** How many are signed in, now and from now on. */
@Injectable()
export class LiveCounts implements BeforeApplicationShutdown {
  private readonly closing = new Subject<void>();

  constructor(private readonly sessions: SessionService) {}

  async now(): Promise<Counts> {
    const [all, ...each] = await Promise.all([this.sessions.count(), ...USER_NAMES.map((principal) => this.sessions.count({ principal }))]);
    const users = Object.fromEntries(USER_NAMES.map((name, at) => [name, each[at] ?? 0]));
    return { all, anonymous: Math.max(0, all - each.reduce((sum, count) => sum + count, 0)), users };
  }

  /** The counts again whenever they may have changed, until the session that watches is over. */
  watch(watcher: string): Observable<Counts> {
    const { events } = this.sessions;
    const end = events.pipe(filter(({ type, handle }) => handle === watcher && type !== 'created'));
    return merge(events, interval(AT_LEAST_EVERY)).pipe(
      auditTime(PAUSE),
      startWith(undefined),
      exhaustMap(() => this.now()),
      takeUntil(merge(end, this.closing)),
    );
  }

  /** A stream that nobody ends would keep the server from closing. */
  beforeApplicationShutdown(): void {
    this.closing.next();
  }
}
