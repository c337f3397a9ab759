import type { Attributes, Counter, Histogram, ProxyTracerProvider, Tracer } from '@opentelemetry/api';

type SessionSpan = 'session.load' | 'session.save';
type SessionCounter = 'created' | 'loaded' | 'saved' | 'conflicts' | 'expired';

/**
 * What the session module tells about its own work: to OpenTelemetry where that is installed, and as it stands here to nothing. It knows
 * names, numbers and outcomes; it is never given an id, a handle or data.
 */
export class SessionTelemetry {
  /** Runs a piece of work as a span. @param _outcome what came of it, in one word. */
  span<T>(_name: SessionSpan, work: () => Promise<T>, _outcome: (result: T) => string): Promise<T> {
    return work();
  }

  /** Times one operation of the store, and counts it where it fails. @param _operation a verb first, as in `read a session`. */
  store<T>(_operation: string, work: () => Promise<T>): Promise<T> {
    return work();
  }

  count(_counter: SessionCounter): void {}
}

/** The parts of `@opentelemetry/api` that are used here. */
type OpenTelemetryApi = Pick<typeof import('@opentelemetry/api'), 'trace' | 'metrics' | 'SpanStatusCode' | 'createNoopMeter'>;

const SCOPE = 'nestjs-server-session';
const BACK_END = 'session.backend';
const OPERATION = 'session.operation';
const OUTCOME = 'session.outcome';

const COUNTERS: Record<SessionCounter, string> = {
  created: 'Sessions stored for the first time',
  loaded: 'Sessions found for a request',
  saved: 'Changes of a session that were stored',
  conflicts: 'Writes that found the session changed by another process',
  expired: 'Sessions met past their absolute lifetime',
};

interface Instruments {
  readonly counters: Record<SessionCounter, Counter>;
  readonly storeErrors: Counter;
  readonly storeTime: Histogram;
}

/** Spans and metrics through the OpenTelemetry API, to the SDK that the application has registered. Not exported: its types need that package. */
class OpenTelemetry extends SessionTelemetry {
  private readonly attributes: Attributes;
  private instruments: Instruments | undefined;

  constructor(
    private readonly api: OpenTelemetryApi,
    backEnd: string,
  ) {
    super();
    this.attributes = { [BACK_END]: backEnd };
  }

  override span<T>(name: SessionSpan, work: () => Promise<T>, outcome: (result: T) => string): Promise<T> {
    const tracer = this.tracer();
    return tracer === undefined ? work() : this.spanOf(tracer, name, work, outcome);
  }

  override store<T>(operation: string, work: () => Promise<T>): Promise<T> {
    const instruments = this.instrumentation();
    return instruments === undefined ? work() : this.timed(instruments, operation, work);
  }

  override count(counter: SessionCounter): void {
    this.instrumentation()?.counters[counter].add(1, this.attributes);
  }

  /** Asked for each time, as an SDK may be registered later. Undefined without one, which costs nothing. */
  private tracer(): Tracer | undefined {
    const provider = this.api.trace.getTracerProvider();
    return 'getDelegateTracer' in provider ? (provider as ProxyTracerProvider).getDelegateTracer(SCOPE) : provider.getTracer(SCOPE);
  }

  private spanOf<T>(tracer: Tracer, name: SessionSpan, work: () => Promise<T>, outcome: (result: T) => string): Promise<T> {
    return tracer.startActiveSpan(name, { attributes: this.attributes }, async (span) => {
      if (!span.isRecording()) return work();
      try {
        const result = await work();
        span.setAttribute(OUTCOME, outcome(result));
        return result;
      } catch (error) {
        // The name alone: a message may quote what a client of the store says.
        span.setAttribute(OUTCOME, 'error').setStatus({ code: this.api.SpanStatusCode.ERROR, message: nameOf(error) });
        throw error;
      } finally {
        span.end();
      }
    });
  }

  private async timed<T>({ storeTime, storeErrors }: Instruments, operation: string, work: () => Promise<T>): Promise<T> {
    const start = performance.now();
    const attributes: Attributes = { ...this.attributes, [OPERATION]: operation.split(' ', 1)[0] };
    try {
      return await work();
    } catch (error) {
      storeErrors.add(1, { ...attributes, 'error.type': nameOf(error) });
      throw error;
    } finally {
      storeTime.record((performance.now() - start) / 1000, attributes);
    }
  }

  /** Made once there is an SDK. Before, the API gives instruments that do nothing, and never will. */
  private instrumentation(): Instruments | undefined {
    return (this.instruments ??= this.makeInstruments());
  }

  private makeInstruments(): Instruments | undefined {
    const meter = this.api.metrics.getMeter(SCOPE);
    if (meter === this.api.createNoopMeter()) return undefined;
    const counters = Object.entries(COUNTERS).map(([name, description]) => [name, meter.createCounter(`session.${name}`, { description })]);
    return {
      counters: Object.fromEntries(counters) as Instruments['counters'],
      storeErrors: meter.createCounter('session.store.errors', { description: 'Operations of the session store that failed' }),
      storeTime: meter.createHistogram('session.store.duration', {
        description: 'Time that operations of the session store took',
        unit: 's',
        advice: { explicitBucketBoundaries: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5] },
      }),
    };
  }
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : typeof error;
}

/** OpenTelemetry where its API is installed, else nothing. */
export async function createTelemetry(backEnd: string): Promise<SessionTelemetry> {
  try {
    const api = await import('@opentelemetry/api');
    return new OpenTelemetry(api, backEnd);
  } catch {
    return new SessionTelemetry();
  }
}
