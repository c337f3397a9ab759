import { SessionLogger } from '../common/session-logger.js';
import { Observable, type Observer, Subject, type Subscription } from 'rxjs';
import { reasonOf } from '../errors.js';

/**
 * - `created`: stored for the first time.
 * - `regenerated`: goes on under a new id; `previousHandle` is what it was called before.
 * - `destroyed`: its own request ended it.
 * - `revoked`: `SessionService` ended it, or a log-in past `maxSessionsPerPrincipal`.
 * - `expired`: this process met it past its `absoluteLifetime`. What a store forgets on its own happens silently.
 */
export type SessionEventType = 'created' | 'regenerated' | 'destroyed' | 'revoked' | 'expired';

/** Something that happened to a session. Says which one by its handle, never by its id. */
export interface SessionEvent {
  readonly type: SessionEventType;
  readonly handle: string;
  readonly principal?: string | undefined;
  /** Of a regenerated session: its handle until now. */
  readonly previousHandle?: string | undefined;
  /** When the store had confirmed it. */
  readonly at: Date;
}

/**
 * What happens to the sessions of this process, for those who listen. Events are handed out after the operation that caused
 * them has gone on: no listener delays a response or makes one fail.
 */
export class SessionEvents {
  private readonly subject = new Subject<SessionEvent>();

  /** Every event from now on, to each subscriber; nothing is kept for those who come later. */
  readonly stream: Observable<SessionEvent> = new ForgivingObservable(this.subject);

  get isObserved(): boolean {
    return this.subject.observed;
  }

  /** To be called once the store has confirmed what the event says. */
  emit(event: Omit<SessionEvent, 'at'>): void {
    if (!this.isObserved) return;
    const complete: SessionEvent = { ...event, at: new Date() };
    setImmediate(() => this.subject.next(complete));
  }

  /** No more events. Those that were emitted before are still delivered. */
  close(): void {
    setImmediate(() => this.subject.complete());
  }
}

/** RxJS throws the error of a subscriber where nothing catches it, and so ends the process. Here it is logged. */
class ForgivingObservable extends Observable<SessionEvent> {
  constructor(source: Observable<SessionEvent>) {
    super((subscriber) => source.subscribe(subscriber));
  }

  override subscribe(
    observerOrNext?: Partial<Observer<SessionEvent>> | ((event: SessionEvent) => void) | null,
    error?: ((reason: unknown) => void) | null,
    complete?: (() => void) | null,
  ): Subscription {
    if (typeof observerOrNext !== 'function') return super.subscribe(observerOrNext ?? {});
    return super.subscribe({
      next: (event) => runListener(() => observerOrNext(event)),
      ...(error ? { error } : {}),
      ...(complete ? { complete } : {}),
    });
  }
}

const logger = new SessionLogger();

/** Calls a listener; what it throws, now or later, is logged and goes no further. */
export function runListener(listener: () => unknown): void {
  const report = (error: unknown): void => {
    logger.error(`a listener of session events failed: ${reasonOf(error)}`, error instanceof Error ? error.stack : undefined);
  };
  try {
    const result = listener();
    if (result instanceof Promise) result.catch(report);
  } catch (error) {
    report(error);
  }
}
