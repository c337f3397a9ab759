import { Logger } from '@nestjs/common';
import { isNativeError } from 'node:util/types';
import type { MemcacheClient, MultiCasRetrievalResponse, StatsCommandResponse } from 'memcache-client';
import { MemcachedClock } from './memcached.clock.js';
import { BINARY_FLAG } from './memcached.value.js';

const LINE_END = '\r\n';
/** A lifetime below zero: over at once. */
const EXPIRED = -1;
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
  private readonly logger = new Logger('ServerSession');
  private readonly clock = new MemcachedClock(() => this.time());
  private isDown = false;
  private isClosed = false;

  /**
   * @param name how logs call it, and what decides about the keys it gets.
   * @param timeout milliseconds within which a command has to be on its way.
   */
  constructor(
    readonly name: string,
    private readonly client: MemcacheClient,
    private readonly timeout: number,
  ) {}

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

  private async send<T>(command: string, data?: Buffer): Promise<T> {
    if (this.isClosed) throw new Error(`the connection to ${this.name} was closed`);
    try {
      const answer = await this.write<T>(command, data);
      this.reportAnswer();
      return answer;
    } catch (error) {
      if (replyOf(error) !== undefined || isUnreadable(error)) this.reportAnswer();
      else this.reportTrouble(error);
      throw error;
    }
  }

  /** Commands are written here and not by the client, which would also write them long after their request was over. */
  private write<T>(command: string, data: Buffer | undefined): Promise<T> {
    const end = performance.now() + this.timeout;
    const packet = data === undefined ? command + LINE_END : Buffer.concat([Buffer.from(command + LINE_END), data, Buffer.from(LINE_END)]);
    return this.client.send<T>((socket) => {
      if (socket === undefined) throw new Error('the connection was lost');
      if (performance.now() > end) throw new Error(`no connection within ${this.timeout} ms`);
      socket.write(packet);
    });
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

  /** Once for each time the server is lost, not for every command. */
  private reportTrouble(error: unknown): void {
    if (this.isDown || this.isClosed) return;
    this.isDown = true;
    this.clock.reset();
    this.logger.error(`[ServerSession] Memcached ${this.name}: ${isNativeError(error) ? error.message : String(error)}`);
  }

  private reportAnswer(): void {
    if (this.isDown) this.logger.log(`[ServerSession] Memcached ${this.name} is back`);
    this.isDown = false;
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
