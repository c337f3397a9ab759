import { parseSetCookie } from 'cookie';
import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { Ledger } from './ledger.js';

/** Between two requests of a client, in milliseconds: what is tested is what is kept, not how much the machine can do. */
const THINKING = 40;
const KEYS = 8;
/** A request that takes longer hangs. */
const PATIENCE = 20_000;

interface Reply {
  /** 0: the connection broke. */
  readonly status: number;
  readonly text: string;
}

/** A browser that writes and reads its session, one request after the other, and keeps book. */
export class Client {
  readonly ledger = new Ledger();
  readonly wrong: string[] = [];
  longest = 0;
  lastSuccess = 0;
  private cookie: string | undefined;
  private sequence = 0;
  private agent = new Agent({ keepAlive: true, maxSockets: 1 });

  /** @param urls of the applications; the next one takes over where one does not answer. */
  constructor(
    private readonly name: string,
    private urls: readonly string[],
  ) {}

  /** Writes, and reads every third time, until told to stop. */
  async run(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      if (++this.sequence % 3 === 0) await this.read();
      else await this.write();
      await sleep(Math.random() * 2 * THINKING);
    }
  }

  /** What is there in the end. @throws when it cannot be read. */
  async audit(): Promise<{ found: number; lost: number }> {
    let reply = await this.send('GET', '/data');
    // The last connections that the fault broke may only be noticed now.
    for (let tries = 0; reply.status !== 200 && tries < 5; tries++) {
      await sleep(500);
      reply = await this.send('GET', '/data');
    }
    const { status, text } = reply;
    if (status !== 200) throw new Error(`the session cannot be read in the end: ${status} ${text}`);
    const lost = this.ledger.missingIn(JSON.parse(text) as Record<string, unknown>).length;
    return { found: this.ledger.size - lost, lost };
  }

  disconnect(): void {
    this.agent.destroy();
    this.agent = new Agent({ keepAlive: true, maxSockets: 1 });
  }

  private async write(): Promise<void> {
    const key = `key-${this.sequence % KEYS}`;
    const value = `${this.name}-${this.sequence}`;
    const { status } = await this.send('POST', `/set/${key}/${value}`);
    if (status === 201) this.ledger.acknowledge(key, value);
    else this.ledger.doubt(key, value);
  }

  private async read(): Promise<void> {
    const { status, text } = await this.send('GET', '/data');
    if (status !== 200) return;
    const data = JSON.parse(text) as Record<string, unknown>;
    const missing = this.ledger.missingIn(data);
    if (missing.length > 0) this.wrong.push(`${missing.length} of ${this.ledger.size} keys`);
    // A store that forgets: from here on there is another session.
    if (Object.keys(data).length === 0) this.ledger.clear();
  }

  private async send(method: string, path: string): Promise<Reply> {
    const begin = performance.now();
    const reply = await this.exchange(method, path);
    this.longest = Math.max(this.longest, performance.now() - begin);
    if (reply.status >= 200 && reply.status < 300) this.lastSuccess = performance.now();
    if (reply.status === 0) this.urls = [...this.urls.slice(1), ...this.urls.slice(0, 1)];
    return reply;
  }

  private exchange(method: string, path: string): Promise<Reply> {
    return new Promise((resolve) => {
      const broken = (error: Error): void => resolve({ status: 0, text: error.message });
      const headers = this.cookie === undefined ? {} : { cookie: this.cookie };
      const outgoing = request(new URL(path, this.urls[0]), { method, agent: this.agent, headers, timeout: PATIENCE }, (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => (text += chunk));
        response.on('error', broken);
        response.on('end', () => {
          for (const header of response.headers['set-cookie'] ?? []) {
            const { name, value } = parseSetCookie(header);
            this.cookie = `${name}=${encodeURIComponent(value ?? '')}`;
          }
          resolve({ status: response.statusCode ?? 0, text });
        });
      });
      outgoing.on('timeout', () => outgoing.destroy(new Error('no answer')));
      outgoing.on('error', broken);
      outgoing.end();
    });
  }
}
