export type SessionSpan = 'session.load' | 'session.save';
export type SessionCounter = 'created' | 'loaded' | 'saved' | 'conflicts' | 'expired';

/**
 * What the session module tells about its own work. It knows names, numbers and outcomes; it is never given an id, a handle or
 * data.
 */
export abstract class SessionTelemetry {
  /** Runs a piece of work as a span. @param outcome what came of it, in one word. */
  abstract span<T>(name: SessionSpan, work: () => Promise<T>, outcome: (result: T) => string): Promise<T>;

  /** Times one operation of the store, and counts it where it fails. @param operation in one word, as in `read`. */
  abstract store<T>(operation: string, work: () => Promise<T>): Promise<T>;

  abstract count(counter: SessionCounter): void;
}

/** Where OpenTelemetry is not installed: nothing, at no cost. */
class NoTelemetry extends SessionTelemetry {
  override span<T>(_name: SessionSpan, work: () => Promise<T>): Promise<T> {
    return work();
  }

  override store<T>(_operation: string, work: () => Promise<T>): Promise<T> {
    return work();
  }

  override count(): void {
    // Nobody counts.
  }
}

export const NO_TELEMETRY: SessionTelemetry = new NoTelemetry();
