import type { Socket } from 'node:net';
import { isNativeError } from 'node:util/types';
import type { MemcacheClient, MultiCasRetrievalResponse, StatsCommandResponse } from 'memcache-client';
import { OutageLog } from '../../common/outage-log.js';
import { withTimeout } from '../../common/with-timeout.js';
import { reasonOf } from '../../errors.js';
import { MemcachedClock } from './memcached.clock.js';
import { BINARY_FLAG } from './memcached.item.js';

const LINE_END = '\r\n';
/** A lifetime below zero: over at once. */
const EXPIRED = -1;
/**
 * Commands that may be on their way at the same time; others wait. A server that hangs finds no more than these in its buffers when it
 * goes on, long after their requests were answered.
 */
const MOST_AT_ONCE = 64;
/** Answers of the server that are no failure, but which the client rejects with. */
const ANSWERS = new Set(['NOT_STORED', 'EXISTS', 'NOT_FOUND']);

/** A value with the token of its state. */
export interface FoundValue {
  /** Bytes, or whatever another program has put there. */
  readonly value: unknown;
  readonly token: string;
}

/** One Memcached server, through a client of its own. */
export class MemcachedNode {
  private readonly clock = new MemcachedClock(() => this.time());
  private readonly outage: OutageLog;
  /** Connections that commands were written to. */
  private readonly sockets = new Set<Socket>();
  private readonly waiting: (() => void)[] = [];
  private underWay = 0;
  private probing: Promise<unknown> | undefined;
  private isClosed = false;

  /**
   * @param name how logs call it, and what decides about the keys it gets.
   * @param timeout milliseconds within which a command has to be sent, and milliseconds that it may then take.
   */
  constructor(
    readonly name: string,
    private readonly client: MemcacheClient,
    private readonly timeout: number,
  ) {
    this.outage = new OutageLog(`Memcached ${name}`);
  }

  /** Connects, so that the first request need not wait for it, and the log tells early of a server that is not there. */
  async connect(): Promise<void> {
    await this.send('version').catch(() => undefined);
  }

  /**
   * Stores a value: `add`, or `cas` with the token of the state it replaces.
   *
   * @param ttl milliseconds.
   * @returns the first word of the answer: `STORED`, `NOT_STORED`, `EXISTS` or `NOT_FOUND`.
   */
  async store(command: 'add' | 'cas', key: string, value: Buffer, ttl: number, token?: string): Promise<string> {
    const words = [command, key, BINARY_FLAG, await this.clock.expiry(ttl), value.length];
    if (token !== undefined) words.push(token);
    try {
      return await this.change(words.join(' '), value);
    } catch (error) {
      if (!(isNativeError(error) && error.message.startsWith('SERVER_ERROR object too large'))) throw error;
      const advice = "start it with a larger '-I', or lower the option 'maxBytes'";
      throw new Error(`the record has ${value.length} bytes, more than an item of this Memcached may have: ${advice}`, { cause: error });
    }
  }

  /** @returns the first word of the answer: `DELETED` or `NOT_FOUND`. */
  async delete(key: string): Promise<string> {
    return this.change(`delete ${key}`);
  }

  /**
   * Deletes a value if it is still in the state of this token.
   *
   * @returns whether it was.
   */
  async deleteState(key: string, token: string): Promise<boolean> {
    try {
      // Memcached has a compare-and-set but, in the commands that the client understands, no compare-and-delete. A value that is
      // stored with a lifetime below zero has expired at once.
      return (await this.change(`cas ${key} 0 ${EXPIRED} 0 ${token}`, Buffer.alloc(0))) === 'STORED';
    } catch (error) {
      if (!isOutOfMemory(error)) throw error;
      // Storing needs room, and with `-M` Memcached makes none. Then it stores no changes either, so nothing comes in between.
      return (await this.retrieve(key))?.token === token && (await this.delete(key)) === 'DELETED';
    }
  }

  /** Reads a value and the token of its state. @param touch a new lifetime for it, in milliseconds. */
  async retrieve(key: string, touch?: number): Promise<FoundValue | undefined> {
    const command = touch === undefined ? 'gets' : `gats ${await this.clock.expiry(touch)}`;
    try {
      const found = (await this.send<MultiCasRetrievalResponse>(`${command} ${key}`))[key];
      return found && { value: found.value, token: String(found.casUniq) };
    } catch (error) {
      if (isUnreadable(error)) return { value: undefined, token: '' };
      throw error;
    }
  }

  close(): void {
    this.isClosed = true;
    this.client.shutdown();
  }

  private async change(command: string, data?: Buffer): Promise<string> {
    try {
      const [word = ''] = await this.send<string[]>(command, data);
      return word;
    } catch (error) {
      const [word = ''] = replyOf(error) ?? [];
      if (ANSWERS.has(word)) return word;
      throw error;
    }
  }

  /** Sends a command when it is its turn, and waits for the answer. */
  private async send<T>(command: string, data?: Buffer): Promise<T> {
    const end = performance.now() + this.timeout;
    if (this.underWay < MOST_AT_ONCE) this.underWay++;
    else await new Promise<void>((resolve) => this.waiting.push(resolve));
    try {
      if (performance.now() > end) throw new Error(`too many commands wait for an answer, and ${this.timeout} ms are over`);
      // A server that did not answer is asked for its version until it does: what it is told meanwhile it would do later.
      if (this.outage.isOpen) await this.probe();
      return await this.exchange<T>(command, data, end - performance.now());
    } finally {
      const next = this.waiting.shift();
      if (next === undefined) this.underWay--;
      else next();
    }
  }

  private probe(): Promise<unknown> {
    return (this.probing ??= this.exchange('version').finally(() => (this.probing = undefined)));
  }

  private async exchange<T>(command: string, data?: Buffer, timeout = this.timeout): Promise<T> {
    if (this.isClosed) throw new Error(`the connection to ${this.name} was closed`);
    try {
      const answer = await this.write<T>(command, data, timeout);
      this.outage.recovered();
      return answer;
    } catch (error) {
      if (replyOf(error) !== undefined || isUnreadable(error)) this.outage.recovered();
      else this.reportTrouble(error);
      throw error;
    }
  }

  /**
   * Commands are written here and not by the client, which would also write them long after their request was over.
   *
   * @param timeout milliseconds for the connection and the answer together.
   */
  private async write<T>(command: string, data: Buffer | undefined, timeout: number): Promise<T> {
    const packet = data === undefined ? command + LINE_END : Buffer.concat([Buffer.from(command + LINE_END), data, Buffer.from(LINE_END)]);
    const end = performance.now() + timeout;
    let used: Socket | undefined;
    const late = (): Error => new Error(`no ${used === undefined ? 'connection' : 'answer'} within ${this.timeout} ms`);
    const answer = this.client.send<T>((socket) => {
      if (socket === undefined) throw new Error('the connection was lost');
      if (performance.now() > end) throw late();
      used = socket;
      this.note(socket);
      socket.write(packet);
    });
    return withTimeout(answer, timeout, () => {
      const reason = late();
      if (used !== undefined) this.giveUp(used, reason);
      return reason;
    });
  }

  private note(socket: Socket): void {
    if (this.sockets.has(socket)) return;
    this.sockets.add(socket);
    socket.once('close', () => this.sockets.delete(socket));
  }

  /** Closes a connection on which no answer came: the client would go on waiting, and use it for more commands. */
  private giveUp(socket: Socket, reason: Error): void {
    socket.destroy(reason);
    this.sockets.delete(socket);
    // A firewall that has forgotten one connection has most likely forgotten them all. Each is closed if it does not answer, either.
    for (let others = this.sockets.size; others > 0; others--) this.exchange('version').catch(() => undefined);
  }

  /** The server's clock; undefined where it does not tell, as a proxy may not. */
  private async time(): Promise<number | undefined> {
    try {
      const { STAT = [] } = await this.send<Partial<StatsCommandResponse>>('stats');
      const seconds = Number(STAT.find(([name]) => name === 'time')?.[1]);
      return seconds > 0 ? seconds : undefined;
    } catch (error) {
      if (replyOf(error) === undefined) throw error;
      return undefined;
    }
  }

  private reportTrouble(error: unknown): void {
    if (this.isClosed) return;
    this.outage.failed(`Memcached ${this.name}: ${reasonOf(error)}`);
    this.clock.reset();
  }
}

/** The words of the server's answer, where that is what the client rejected with. */
function replyOf(error: unknown): string[] | undefined {
  return isNativeError(error) && 'cmdTokens' in error ? (error.cmdTokens as string[]) : undefined;
}

function isOutOfMemory(error: unknown): boolean {
  return isNativeError(error) && error.message.startsWith('SERVER_ERROR out of memory');
}

/** By its flags a value may say that it is JSON or compressed; where it is neither, the client fails on it. */
function isUnreadable(error: unknown): boolean {
  return isNativeError(error) && (error.name === 'SyntaxError' || error.name === 'AssertionError');
}
