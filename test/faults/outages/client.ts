import { parseSetCookie } from 'cookie';
import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { Ledger } from './ledger.js';

/** Between two requests of a client, in milliseconds: what is tested is what is kept, not how much the machine can do. */
const THINKING = 100;
const KEYS = 8;
/** A request that takes longer hangs. */
const PATIENCE = 20_000;

interface Reply {
  /** 0: the connection broke. */
  readonly status: number;
  readonly text: string;
  /** That the browser keeps from now on. */
  readonly cookie: string | undefined;
}

/** A browser that writes and reads its session, one request after the other, and keeps book. Now and then it logs out of another one. */
export class Client {
  readonly ledger = new Ledger();
  readonly wrong: string[] = [];
  /** Cookies of the sessions that it has logged out of, as the server said. */
  readonly ended: string[] = [];
  /** What requests were answered that began after `mustBeServedFrom`. */
  readonly unserved: string[] = [];
  mustBeServedFrom = Infinity;
  longest = 0;
  lastSuccess = 0;
  private cookie: string | undefined;
  /** Of a session that is going to be logged out of. */
  private spare: string | undefined;
  private sequence = 0;
  private writes = 0;
  private agent = newAgent();

  /** @param urls of the applications; the next one takes over where one does not answer. */
  constructor(
    private readonly name: string,
    private urls: readonly string[],
  ) {}

  /** Writes, reads every third time, logs in or out every fifth, until told to stop. */
  async run(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      if (++this.sequence % 3 === 0) await this.read();
      else if (this.sequence % 5 === 0) await this.logInOrOut();
      else await this.write();
      await sleep(Math.random() * 2 * THINKING);
    }
  }

  /** What is there in the end. @throws when it cannot be read. */
  async audit(): Promise<{ found: number; lost: number; revived: number }> {
    const lost = this.ledger.missingIn(await this.look(this.cookie)).length;
    let revived = 0;
    for (const cookie of this.ended) if (Object.keys(await this.look(cookie)).length > 0) revived++;
    return { found: this.ledger.size - lost, lost, revived };
  }

  disconnect(): void {
    this.agent.destroy();
    this.agent = newAgent();
  }

  /** @throws when it cannot be read. */
  private async look(cookie: string | undefined): Promise<Record<string, unknown>> {
    const { status, text } = await this.send('GET', '/data', cookie);
    if (status !== 200) throw new Error(`the session cannot be read in the end: ${status} ${text}`);
    return JSON.parse(text) as Record<string, unknown>;
  }

  private async write(): Promise<void> {
    const key = `key-${this.writes++ % KEYS}`;
    const value = `${this.name}-${this.writes}`;
    const { status, cookie } = await this.send('POST', `/set/${key}/${value}`, this.cookie);
    this.cookie = cookie ?? this.cookie;
    if (status === 201) this.ledger.acknowledge(key, value);
    else this.ledger.doubt(key, value);
  }

  private async read(): Promise<void> {
    const { status, text } = await this.send('GET', '/data', this.cookie);
    if (status !== 200) return;
    const data = JSON.parse(text) as Record<string, unknown>;
    const missing = this.ledger.missingIn(data);
    if (missing.length > 0) this.wrong.push(`${missing.length} of ${this.ledger.size} keys`);
    // A store that forgets: from here on there is another session.
    if (Object.keys(data).length === 0) this.ledger.clear();
  }

  /** Begins a session, or logs out of it while another request of it is under way. */
  private async logInOrOut(): Promise<void> {
    const { spare } = this;
    if (spare === undefined) {
      const { status, cookie } = await this.send('POST', '/set/user/ada', undefined);
      if (status === 201) this.spare = cookie;
      return;
    }
    this.spare = undefined;
    const [, { status }] = await Promise.all([
      this.send('POST', '/slow/20/user/eve', spare),
      sleep(5).then(() => this.send('POST', '/destroy', spare)),
    ]);
    if (status === 201) this.ended.push(spare);
  }

  private async send(method: string, path: string, cookie: string | undefined): Promise<Reply> {
    const begin = performance.now();
    const reply = await this.exchange(method, path, cookie);
    this.longest = Math.max(this.longest, performance.now() - begin);
    const isServed = reply.status >= 200 && reply.status < 300;
    if (isServed) this.lastSuccess = performance.now();
    else if (begin > this.mustBeServedFrom) this.unserved.push(`${method} ${path}: ${reply.status} ${reply.text}`);
    if (reply.status === 0) this.urls = [...this.urls.slice(1), ...this.urls.slice(0, 1)];
    return reply;
  }

  private exchange(method: string, path: string, cookie: string | undefined): Promise<Reply> {
    return new Promise((resolve) => {
      const broken = (error: Error): void => resolve({ status: 0, text: error.message, cookie: undefined });
      const headers = cookie === undefined ? {} : { cookie };
      const outgoing = request(new URL(path, this.urls[0]), { method, agent: this.agent, headers, timeout: PATIENCE }, (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => (text += chunk));
        response.on('error', broken);
        response.on('end', () => {
          const [sent] = (response.headers['set-cookie'] ?? []).map((header) => parseSetCookie(header));
          const kept = sent && `${sent.name}=${encodeURIComponent(sent.value ?? '')}`;
          resolve({ status: response.statusCode ?? 0, text, cookie: kept });
        });
      });
      outgoing.on('timeout', () => outgoing.destroy(new Error('no answer')));
      outgoing.on('error', broken);
      outgoing.end();
    });
  }
}

/** Two requests of a client can be under way at a time. */
function newAgent(): Agent {
  return new Agent({ keepAlive: true, maxSockets: 2 });
}
