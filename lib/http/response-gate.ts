import type { OutgoingHttpHeader, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { addToHead, type HeadArguments, type HeadHeaders } from './response-head.js';

/** What the gate asks on the way out. */
export interface GateKeeper {
  /** Whether the response may go as it is. Asked often; must be cheap. */
  isSettled(): boolean;
  /** Does what has to be done before the response ends. */
  settle(): Promise<void>;
  /** The headers that go with the response. Asked once, as the head leaves. */
  headers(): HeadHeaders;
  /** Whether the head has to wait a little, because it is not known yet what it has to say. */
  isUndecided(): boolean;
  /** The client is told that its request failed, in place of the response or by cutting it off; this logs why. */
  failed(error: unknown): FailureResponse;
  /** The client left before the response was complete. */
  abandoned(): void;
}

/** What the client gets when settling failed and the head has not left yet. */
export interface FailureResponse {
  readonly statusCode: number;
  readonly body: string;
}

type Write = (...args: unknown[]) => boolean;
type End = (...args: unknown[]) => ServerResponse;
type WriteHead = (...args: unknown[]) => ServerResponse;

/**
 * Stands at the exit of one raw response, whoever writes it: Nest, `@Res()`, a pipe, server-sent events, a filter, the
 * framework's own 404. It adds headers as the head leaves, and holds back the end until the keeper has settled. Where
 * nothing is to settle, everything passes straight through, synchronously.
 *
 * Node's own methods are replaced on this one response, because `writeHead` and `end` are the only places that all ways of
 * answering share, on both adapters.
 */
export class ResponseGate {
  private readonly writeHead: WriteHead;
  private readonly write: Write;
  private readonly end: End;
  private readonly flushHeaders: () => void;

  /** The arguments of a `writeHead` that was called, but whose head has not left. */
  private head: HeadArguments | undefined;
  /** Calls that wait for the head. */
  private held: (() => void)[] | undefined;
  /** Whether calls come from the gate itself or from inside Node. */
  private passing = false;
  private ended = false;
  private decorated = false;

  constructor(
    private readonly response: ServerResponse,
    private readonly keeper: GateKeeper,
  ) {
    this.writeHead = response.writeHead.bind(response) as WriteHead;
    this.write = response.write.bind(response) as Write;
    this.end = response.end.bind(response) as End;
    this.flushHeaders = response.flushHeaders.bind(response);
    response.writeHead = ((...args: HeadArguments) => this.onWriteHead(args)) as typeof response.writeHead;
    response.write = ((...args: unknown[]) => this.onWrite(args)) as typeof response.write;
    response.end = ((...args: unknown[]) => this.onEnd(args)) as typeof response.end;
    response.flushHeaders = () => this.onFlushHeaders();
    response.once('close', () => {
      if (!this.ended) keeper.abandoned();
    });
  }

  /** Lets calls go that waited for the head. To be called whenever `isUndecided` may have changed. */
  release(): void {
    if (this.held === undefined || this.keeper.isUndecided()) return;
    const calls = this.held;
    this.held = undefined;
    for (const call of calls) call();
    if (!this.response.writableNeedDrain) this.response.emit('drain');
  }

  private onWriteHead(args: HeadArguments): ServerResponse {
    if (this.passing || (this.keeper.isSettled() && !this.keeper.isUndecided())) return this.sendHead(args);
    this.head = args;
    this.pretend('headersSent');
    return this.response;
  }

  private onWrite(args: unknown[]): boolean {
    if (this.hold(() => void this.onWrite(args))) return false;
    return this.pass(() => this.write(...args));
  }

  private onFlushHeaders(): void {
    if (this.hold(() => this.onFlushHeaders())) return;
    this.pass(() => this.flushHeaders());
  }

  private onEnd(args: unknown[]): ServerResponse {
    if (this.ended) return this.response;
    if (this.hold(() => void this.onEnd(args))) return this.response;
    this.ended = true;
    if (this.keeper.isSettled()) return this.pass(() => this.end(...args));
    this.pretend('headersSent');
    this.pretend('writableEnded');
    this.keeper
      .settle()
      .then(
        () => this.pass(() => this.end(...args)),
        (error: unknown) => this.fail(error),
      )
      .catch((error: unknown) => {
        // What Node refused, a header for instance, would have been thrown at the caller of `end`.
        this.keeper.failed(error);
        this.response.destroy();
      });
    return this.response;
  }

  /** Whether a call has to wait for the head; it is repeated by `release`. */
  private hold(call: () => void): boolean {
    if (this.passing || this.isHeadGone() || !(this.held !== undefined || this.keeper.isUndecided())) return false;
    (this.held ??= []).push(call);
    return true;
  }

  /** Calls the original method, the head first where it has waited. */
  private pass<T>(call: () => T): T {
    const wasPassing = this.passing;
    this.passing = true;
    try {
      this.restore();
      if (this.head !== undefined) {
        const args = this.head;
        this.head = undefined;
        this.sendHead(args);
      }
      return call();
    } finally {
      this.passing = wasPassing;
    }
  }

  private sendHead(args: HeadArguments): ServerResponse {
    if (!this.decorated) {
      this.decorated = true;
      addToHead(this.response, args, this.keeper.headers());
    }
    return this.writeHead(...args);
  }

  private fail(error: unknown): void {
    const { statusCode, body } = this.keeper.failed(error);
    this.restore();
    if (this.isHeadGone()) {
      // The client must not take for complete what is not: it sees a connection that breaks off.
      this.response.destroy();
      return;
    }
    this.head = undefined;
    for (const name of this.response.getHeaderNames()) this.response.removeHeader(name);
    this.passing = true;
    this.decorated = true;
    const headers: OutgoingHttpHeaders = { 'content-type': 'application/json; charset=utf-8', 'content-length': Buffer.byteLength(body) };
    this.writeHead(statusCode, headers as Record<string, OutgoingHttpHeader>);
    this.end(body);
  }

  private isHeadGone(): boolean {
    return this.head === undefined && this.response.headersSent && !Object.hasOwn(this.response, 'headersSent');
  }

  /** Frameworks ask these before they send something else: to them, what was called has happened. */
  private pretend(property: 'headersSent' | 'writableEnded'): void {
    Object.defineProperty(this.response, property, { value: true, configurable: true });
  }

  private restore(): void {
    for (const property of ['headersSent', 'writableEnded']) {
      if (Object.hasOwn(this.response, property)) Reflect.deleteProperty(this.response, property);
    }
  }
}
