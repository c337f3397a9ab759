import { connect, type Socket } from 'node:net';
import { pauseFor } from './pause-for.js';

/** What the proxy does to traffic; shared by all its connections and changed while they are open. */
export interface ProxyRules {
  delay: number;
  dropping: boolean;
  /** Reset the first connection on which the server has sent this many bytes. */
  cutAfter: number | undefined;
}

/** One client and the connection to the server that was opened for it. */
export class ProxyConnection {
  readonly #client: Socket;
  readonly #upstream: Socket | undefined;
  readonly #rules: ProxyRules;
  #replied = 0;
  #lossy = false;
  #closed = false;

  constructor(client: Socket, target: { readonly host: string; readonly port: number }, rules: ProxyRules, onClose: () => void) {
    this.#client = client;
    this.#rules = rules;
    client.on('error', () => this.reset());
    client.once('close', () => {
      this.reset();
      onClose();
    });
    if (rules.dropping) {
      // The server never hears of it, as when the very first packet is lost.
      this.#lossy = true;
      client.resume();
      return;
    }
    const upstream = connect({ ...target, allowHalfOpen: true, noDelay: true });
    this.#upstream = upstream;
    upstream.on('error', () => this.reset());
    this.#carry(client, upstream, (chunk) => chunk);
    this.#carry(upstream, client, (chunk) => this.#count(chunk));
  }

  /** True once bytes were lost on it: the two sides no longer agree about what was said. */
  get lossy(): boolean {
    return this.#lossy;
  }

  /** From now on nothing arrives at either side. */
  lose(): void {
    this.#lossy = true;
  }

  countFromHere(): void {
    this.#replied = 0;
  }

  reset(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#client.resetAndDestroy();
    this.#upstream?.resetAndDestroy();
  }

  /** Takes bytes from one side to the other, each chunk after the delay in force when it came. */
  #carry(from: Socket, to: Socket, inspect: (chunk: Buffer) => Buffer): void {
    let line: Promise<void> = Promise.resolve();
    const later = (deliver: () => void): void => {
      const due = Date.now() + this.#rules.delay;
      line = line.then(async () => {
        const rest = due - Date.now();
        if (rest > 0) await pauseFor(rest);
        if (!this.#closed) deliver();
      });
    };
    from.on('data', (chunk: Buffer) => {
      later(() => {
        if (this.#swallows()) return;
        const passed = inspect(chunk);
        if (passed.length === 0 || to.write(passed)) return;
        from.pause();
        to.once('drain', () => from.resume());
      });
    });
    from.on('end', () => {
      later(() => {
        if (!this.#swallows()) to.end();
      });
    });
  }

  #swallows(): boolean {
    if (this.#rules.dropping) this.#lossy = true;
    // After a loss nothing more may pass either, or the client would take a reply for another one.
    return this.#lossy;
  }

  /** Lets pass what is left until the cut, and cuts. */
  #count(chunk: Buffer): Buffer {
    const before = this.#replied;
    this.#replied += chunk.length;
    const { cutAfter } = this.#rules;
    if (cutAfter === undefined || this.#replied < cutAfter) return chunk;
    this.#rules.cutAfter = undefined;
    this.#lossy = true;
    // A moment later, so that the last bytes are on their way before the reset overtakes them.
    setTimeout(() => this.reset(), 10);
    return chunk.subarray(0, Math.max(0, cutAfter - before));
  }
}
