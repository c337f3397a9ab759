import { NO_TELEMETRY, type SessionTelemetry } from './session-telemetry.js';

/** OpenTelemetry where its API is installed, else nothing. */
export async function createTelemetry(backEnd: string): Promise<SessionTelemetry> {
  try {
    const api = await import('@opentelemetry/api');
    const { OpenTelemetry } = await import('./open-telemetry.js');
    return new OpenTelemetry(api, backEnd);
  } catch {
    return NO_TELEMETRY;
  }
}
