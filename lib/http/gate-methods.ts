import type { ServerResponse } from 'node:http';

type Method = (this: ServerResponse, ...args: unknown[]) => unknown;

/** What a response says of itself. */
export interface Pretence {
  headersSent: boolean;
  writableEnded: boolean;
}

/** What stands at the exit of a response. */
export interface Gate {
  onWriteHead(args: unknown[]): unknown;
  onWrite(args: unknown[]): unknown;
  onEnd(args: unknown[]): unknown;
  onFlushHeaders(): unknown;
  /** Whether the response is to say so of itself although it is not so yet. */
  pretendsThat(property: keyof Pretence): boolean;
}

type GateOf = (response: ServerResponse) => Gate | undefined;

/** What was there before the gate: Node's own, or what somebody put in its place. */
export interface OriginalMethods {
  readonly writeHead: Method;
  readonly write: Method;
  readonly end: Method;
  readonly flushHeaders: Method;
  /** Whether the response asks its gate what it is to say of itself, so that nothing has to be put on it. */
  readonly asksGate: boolean;
}

/** Where the gate's methods are installed: what was there before. */
const ORIGINAL = Symbol('server-session.original');

type Gated = object & { [ORIGINAL]?: OriginalMethods };

/**
 * Puts the gate's methods in the place of Node's, because `writeHead` and `end` are the only places that all ways of answering
 * share, on both adapters.
 *
 * @param prototype that all responses of an application share.
 */
export function installGates(prototype: object, gateOf: GateOf): void {
  if (ORIGINAL in prototype) return;
  installMethods(prototype, gateOf, true);
  const inherited = Object.getPrototypeOf(prototype) as Pretence;
  for (const property of ['headersSent', 'writableEnded'] as const) {
    Object.defineProperty(prototype, property, {
      configurable: true,
      get(this: ServerResponse) {
        return gateOf(this)?.pretendsThat(property) === true || Boolean(Reflect.get(inherited, property, this));
      },
    });
  }
}

/** Gives a single response the methods, where its prototype does not have them. */
export function gateResponse(response: ServerResponse, gate: Gate): OriginalMethods {
  if (!(ORIGINAL in response)) installMethods(response, () => gate, false);
  return (response as Gated)[ORIGINAL]!;
}

/** A response without a gate passes. */
function installMethods(target: object, gateOf: GateOf, asksGate: boolean): void {
  const { writeHead, write, end, flushHeaders } = target as ServerResponse;
  const original = { writeHead, write, end, flushHeaders, asksGate } as OriginalMethods;
  const gated = {
    [ORIGINAL]: original,
    writeHead(this: ServerResponse, ...args: unknown[]): unknown {
      const gate = gateOf(this);
      return gate === undefined ? original.writeHead.apply(this, args) : gate.onWriteHead(args);
    },
    write(this: ServerResponse, ...args: unknown[]): unknown {
      const gate = gateOf(this);
      return gate === undefined ? original.write.apply(this, args) : gate.onWrite(args);
    },
    end(this: ServerResponse, ...args: unknown[]): unknown {
      const gate = gateOf(this);
      return gate === undefined ? original.end.apply(this, args) : gate.onEnd(args);
    },
    flushHeaders(this: ServerResponse): unknown {
      const gate = gateOf(this);
      return gate === undefined ? original.flushHeaders.call(this) : gate.onFlushHeaders();
    },
  };
  Object.assign(target, gated);
}
