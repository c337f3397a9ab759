import { createServer, type Server, type Socket } from 'node:net';
import { freePort } from './free-port.js';
import { ProxyConnection, type ProxyRules } from './proxy-connection.js';

export interface ProxyTarget {
  readonly host: string;
  readonly port: number;
}

type Target = number | ProxyTarget;

/** Sits between a client and a server and makes the network misbehave on demand. */
export class TcpProxy {
  readonly host = '127.0.0.1';
  readonly port: number;
  readonly #target: () => Target;
  readonly #connections = new Set<ProxyConnection>();
  readonly #rules: ProxyRules = { delay: 0, dropping: false, cutAfter: undefined };
  #server: Server | undefined;

  private constructor(port: number, target: () => Target) {
    this.port = port;
    this.#target = target;
  }

  /** A function is asked again for each new connection. */
  static async start(target: Target | (() => Target)): Promise<TcpProxy> {
    const ask = typeof target === 'function' ? target : () => target;
    const proxy = new TcpProxy(await freePort(), ask);
    await proxy.accept();
    return proxy;
  }

  /** How many clients are connected. */
  get connections(): number {
    return this.#connections.size;
  }

  /** Adds this latency to what each side sends, from now on; nothing changes places. */
  delay(milliseconds: number): void {
    this.#rules.delay = milliseconds;
  }

  /** A black hole: connections are accepted and stay open, but nothing arrives any more. */
  drop(): void {
    this.#rules.dropping = true;
  }

  /**
   * The connections that are open now become black holes, as when a NAT or a firewall has forgotten them: both sides take them for
   * open, and nothing arrives. New ones are welcome.
   */
  forget(): void {
    for (const connection of this.#connections) connection.lose();
  }

  /** Lets new connections work again. Those that lost something stay open and silent. */
  allow(): void {
    this.#rules.dropping = false;
  }

  /** Resets every connection now; new ones are welcome. */
  cut(): void {
    for (const connection of this.#connections) connection.reset();
  }

  /**
   * Resets the next connection on which the server sends `bytes` bytes, counted per connection
   * from now on: exactly that many still get through. Once; then all is normal again.
   */
  cutAfterBytes(bytes: number): void {
    for (const connection of this.#connections) connection.countFromHere();
    this.#rules.cutAfter = bytes;
  }

  /** Stops listening, so that new connections are refused; those that are open stay. */
  async refuse(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    server.close();
    // The port is given back at the end of this turn of the event loop.
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  }

  /** Listens again, on the same port. */
  async accept(): Promise<void> {
    if (this.#server !== undefined) return;
    // Half-open: one side that has finished sending may still be waiting for the answer.
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => this.#take(client));
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.port, this.host, resolve);
    });
  }

  /**
   * Back to normal. Connections that lost something to `drop()` are reset: a network loses whole
   * connections, never the middle of a stream.
   */
  async heal(): Promise<void> {
    this.#rules.delay = 0;
    this.#rules.dropping = false;
    this.#rules.cutAfter = undefined;
    for (const connection of this.#connections) if (connection.lossy) connection.reset();
    await this.accept();
  }

  async stop(): Promise<void> {
    await this.refuse();
    this.cut();
  }

  #take(client: Socket): void {
    const target = this.#target();
    const address = typeof target === 'number' ? { host: '127.0.0.1', port: target } : target;
    const connection = new ProxyConnection(client, address, this.#rules, () => this.#connections.delete(connection));
    this.#connections.add(connection);
  }
}
