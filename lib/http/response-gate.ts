import type { ServerResponse } from 'node:http';
import { type Gate, gateResponse, type OriginalMethods, type Pretence } from './gate-methods.js';
import { RequestCarrier } from './request-carrier.js';
import { addToHead, describesBody, type HeadArguments, type HeadHeaders, isEventStream } from './response-head.js';

/** What the gate asks on the way out. */
export interface GateKeeper {
  /** Whether the response may go as it is. Asked often; must be cheap. */
  isSettled(): boolean;
  /** Does what has to be done before the response ends; undefined where it may end at once. */
  settle(): Promise<void> | undefined;
  /** The headers that go with the response. Asked once, as the head leaves. */
  headers(): HeadHeaders;
  /** Whether it is not known yet what the head has to say, because the session is still being loaded. */
  isLoading(): boolean;
  /** Whether the handler may yet begin a session, which the head would have to say. */
  mayBegin(): boolean;
  /** Settling failed and nothing has left yet: another response is to be given. @param refuse gives the plainest one. */
  failed(error: unknown, refuse: (status: number, body: string) => void): void;
  /** Settling failed, and all that can be done is to cut the client off. */
  failedTooLate(error: unknown): void;
  /** The client left before the response was complete. */
  abandoned(): void;
}

/** How long server-sent events wait for their first event before the head leaves without a session, in milliseconds. */
const FIRST_EVENT_WAIT = 250;

/**
 * Stands at the exit of one raw response, whoever writes it: Nest, `@Res()`, a pipe, server-sent events, a filter, the
 * framework's own 404. It adds headers as the head leaves, and holds back the end until the keeper has settled. Where
 * nothing is to settle, everything passes straight through, synchronously.
 */
export class ResponseGate implements Gate {
  private readonly original: OriginalMethods;

  /** The arguments of a `writeHead` that was called, but whose head has not left. */
  private head: HeadArguments | undefined;
  /** Calls that wait for the head. */
  private held: (() => void)[] | undefined;
  /** Whether calls come from the gate itself or from inside Node. */
  private passing = false;
  private ended = false;
  private decorated = false;
  private pretended: readonly (keyof Pretence)[] = [];
  /** The response is server-sent events whose first event has not come. */
  private awaitsEvent = false;

  constructor(
    private readonly response: ServerResponse,
    private readonly keeper: GateKeeper,
  ) {
    this.original = gateResponse(response, this);
    response.on('close', () => this.onClose());
  }

  /** Lets calls go that waited for the head. To be called when the session is loaded. */
  release(): void {
    if (this.held === undefined || this.isUndecided()) return;
    const calls = this.held;
    this.held = undefined;
    for (const call of calls) call();
    if (!this.response.writableNeedDrain) this.response.emit('drain');
  }

  onWriteHead(args: HeadArguments): ServerResponse {
    if (this.passing || this.decorated) return this.sendHead(args);
    if (isEventStream(this.response, args)) this.awaitFirstEvent();
    if (this.keeper.isSettled() && !this.isUndecided()) return this.sendHead(args);
    this.head = args;
    this.pretend('headersSent');
    return this.response;
  }

  onWrite(args: unknown[]): boolean {
    // Nest writes an empty line with the head; what comes after it is an event.
    if (this.awaitsEvent && args[0] !== '\n') this.firstEventCame();
    if (this.hold(() => void this.onWrite(args))) return true;
    return this.pass(this.original.write, args) as boolean;
  }

  onFlushHeaders(): void {
    if (!this.hold(() => this.onFlushHeaders())) this.pass(this.original.flushHeaders, []);
  }

  onEnd(args: unknown[]): ServerResponse {
    if (this.ended) return this.response;
    this.firstEventCame();
    if (this.hold(() => void this.onEnd(args))) return this.response;
    this.ended = true;
    const settling = this.keeper.settle();
    if (settling === undefined) return this.pass(this.original.end, args) as ServerResponse;
    this.pretend('headersSent', 'writableEnded');
    settling
      .then(
        () => void this.pass(this.original.end, args),
        (error: unknown) => this.fail(error),
      )
      // What Node refuses, a header for instance, it would have thrown at the caller of `end`.
      .catch((error: unknown) => this.cutOff(error));
    return this.response;
  }

  private onClose(): void {
    if (!this.ended) this.keeper.abandoned();
  }

  /** Whether a call has to wait for the head; it is repeated by `release`. */
  private hold(call: () => void): boolean {
    if (this.passing || this.isHeadGone() || !(this.held !== undefined || this.isUndecided())) return false;
    (this.held ??= []).push(call);
    return true;
  }

  private isUndecided(): boolean {
    return this.keeper.isLoading() || (this.awaitsEvent && this.keeper.mayBegin());
  }

  private awaitFirstEvent(): void {
    this.awaitsEvent = true;
    setTimeout(() => this.firstEventCame(), FIRST_EVENT_WAIT).unref();
  }

  private firstEventCame(): void {
    if (!this.awaitsEvent) return;
    this.awaitsEvent = false;
    this.release();
  }

  /** Calls the original method, the head first where it has waited. */
  private pass(method: OriginalMethods['end'], args: unknown[]): unknown {
    const wasPassing = this.passing;
    this.passing = true;
    this.showTruth();
    try {
      if (this.head !== undefined) {
        const head = this.head;
        this.head = undefined;
        this.sendHead(head);
      }
      return method.apply(this.response, args);
    } finally {
      this.stopPretending();
      this.passing = wasPassing;
    }
  }

  private sendHead(args: HeadArguments): ServerResponse {
    if (!this.decorated) {
      this.decorated = true;
      addToHead(this.response, args, this.keeper.headers());
    }
    return this.original.writeHead.apply(this.response, args) as ServerResponse;
  }

  private fail(error: unknown): void {
    this.stopPretending();
    if (this.isHeadGone()) return this.cutOff(error);
    this.head = undefined;
    this.ended = false;
    for (const name of this.response.getHeaderNames()) if (describesBody(name)) this.response.removeHeader(name);
    this.keeper.failed(error, (status, body) => {
      this.response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', 'content-length': Buffer.byteLength(body) });
      this.response.end(body);
    });
  }

  /** The client must not take for complete what is not: it sees a connection that breaks off. */
  private cutOff(error: unknown): void {
    this.keeper.failedTooLate(error);
    this.response.destroy();
  }

  /** Whether the response is to say so of itself although it is not so yet. */
  pretendsThat(property: keyof Pretence): boolean {
    return this.pretended.includes(property);
  }

  private isHeadGone(): boolean {
    return this.head === undefined && this.response.headersSent && !this.pretendsThat('headersSent');
  }

  /** Frameworks ask these before they send something else. */
  private pretend(...properties: (keyof Pretence)[]): void {
    for (const property of properties) {
      if (this.pretendsThat(property)) continue;
      this.pretended = [...this.pretended, property];
      if (this.original.asksGate) continue;
      Object.defineProperty(this.response, property, { value: true, writable: true, configurable: true });
    }
  }

  private showTruth(): void {
    if (this.original.asksGate) this.pretended = [];
    else for (const property of this.pretended) (this.response as Pretence)[property] = false;
  }

  private stopPretending(): void {
    const { pretended, response } = this;
    this.pretended = [];
    if (this.original.asksGate) return;
    const prototype = Object.getPrototypeOf(response) as Pretence;
    for (const property of pretended) {
      // What has become true stays: a property that is removed makes a slow object of the response.
      if (Reflect.get(prototype, property, response)) (response as Pretence)[property] = true;
      else Reflect.deleteProperty(response, property);
    }
  }
}

/** The gate of a response is kept with the session of its request. */
export function gateOfRequest(response: ServerResponse): ResponseGate | undefined {
  return RequestCarrier.of(response)?.gate;
}
