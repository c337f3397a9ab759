import { Injectable, SetMetadata } from '@nestjs/common';
import { SessionLogger } from '../common/session-logger.js';
import { DiscoveryService, MetadataScanner } from '@nestjs/core';
import { runListener, type SessionEvent, SessionEvents, type SessionEventType } from '../storage/session-events.js';

const SESSION_EVENT_METADATA = 'server-session:event-types';

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

type Wrapper = ReturnType<DiscoveryService['getProviders']>[number];
type Listener = (event: SessionEvent) => unknown;

/** The part of EventEmitter2 that is used here. */
interface Emitter {
  emit(name: string, event: SessionEvent): unknown;
}

/**
 * Brings the events to the methods that ask for them with `@OnSessionEvent()`, and to the EventEmitter2 of
 * `@nestjs/event-emitter` where the application has one, as `session.created` and so on.
 */
@Injectable()
export class SessionEventListeners {
  private readonly logger = new SessionLogger();

  constructor(
    private readonly events: SessionEvents,
    private readonly discovery: DiscoveryService,
    private readonly scanner: MetadataScanner,
  ) {}

  onApplicationBootstrap(): void {
    const listeners = this.find();
    // Without a subscriber no event is made at all.
    if (listeners.length === 0) return;
    this.events.stream.subscribe((event) => {
      for (const listener of listeners) runListener(() => listener(event));
    });
  }

  onApplicationShutdown(): void {
    this.events.close();
  }

  private find(): Listener[] {
    const providers = this.discovery.getProviders();
    const listeners = [...providers, ...this.discovery.getControllers()].flatMap((wrapper) => this.listenersOf(wrapper));
    const emitter = providers.find(isEmitter)?.instance as Emitter | undefined;
    if (emitter !== undefined) listeners.push((event) => emitter.emit(`session.${event.type}`, event));
    return listeners;
  }

  private listenersOf(wrapper: Wrapper): Listener[] {
    const instance: unknown = wrapper.instance;
    const prototype: unknown = wrapper.metatype?.prototype ?? (isObject(instance) ? Object.getPrototypeOf(instance) : undefined);
    if (!isObject(prototype)) return [];
    const listeners: Listener[] = [];
    for (const name of this.scanner.getAllMethodNames(prototype)) {
      const types = typesOf(prototype[name]);
      if (types === undefined) continue;
      if (!isObject(instance) || !wrapper.isDependencyTreeStatic()) {
        this.logger.warn(`@OnSessionEvent() needs a singleton: ${wrapper.name}.${name}() will not be called`);
        continue;
      }
      listeners.push((event) => {
        const method = instance[name];
        if (typeof method !== 'function' || (types.length > 0 && !types.includes(event.type))) return undefined;
        return method.call(instance, event) as unknown;
      });
    }
    return listeners;
  }
}

function typesOf(method: unknown): readonly SessionEventType[] | undefined {
  if (typeof method !== 'function') return undefined;
  return Reflect.getMetadata(SESSION_EVENT_METADATA, method) as readonly SessionEventType[] | undefined;
}

/** Known by its shape and by being provided as its own class, because its package may not be installed. */
function isEmitter({ token, instance }: Wrapper): boolean {
  const candidate: unknown = instance;
  if (typeof token !== 'function' || !isObject(candidate) || !(candidate instanceof token)) return false;
  return typeof candidate['emit'] === 'function' && typeof candidate['onAny'] === 'function';
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
