import { SetMetadata } from '@nestjs/common';
import type { SessionEventType } from '../storage/session-events.js';

export const SESSION_EVENT_METADATA = 'server-session:event-types';

/**
 * Calls a method of a provider or controller with the `SessionEvent` whenever one of these types happens in this process;
 * without types, for every event. What the method throws is logged and harms nothing.
 *
 * ```ts
 * @OnSessionEvent('created', 'destroyed')
 * count({ type, principal }: SessionEvent) { … }
 * ```
 */
export function OnSessionEvent(...types: SessionEventType[]): MethodDecorator {
  return SetMetadata(SESSION_EVENT_METADATA, types);
}
