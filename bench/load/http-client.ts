import { Agent, get } from 'node:http';

/** How many requests are under way at the same time when sessions are made. */
const CONNECTIONS = 32;

const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });

export interface Answer {
  readonly status: number;
  readonly body: string;
  /** The first cookie that was set, as `name=value`. */
  readonly cookie: string | undefined;
}

export function request(port: number, path: string, cookie?: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, path, agent, headers: cookie === undefined ? {} : { cookie } }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (body += chunk));
      response.on('end', () => {
        const cookies = response.headers['set-cookie'] ?? [];
        resolve({ status: response.statusCode ?? 0, body, cookie: cookies[0]?.split(';')[0] });
      });
      response.on('error', reject);
    }).on('error', reject);
  });
}

/** Begins sessions and returns their cookies. */
export async function beginSessions(port: number, count: number, bytes: number): Promise<string[]> {
  const cookies: string[] = [];
  let begun = 0;
  const beginMore = async (): Promise<void> => {
    while (begun++ < count) {
      const { status, cookie } = await request(port, `/fill/${bytes}`);
      if (status !== 200 || cookie === undefined) throw new Error(`a session could not be begun: status ${status}`);
      cookies.push(cookie);
    }
  };
  await Promise.all(Array.from({ length: Math.min(CONNECTIONS, count) }, beginMore));
  return cookies;
}

/** @throws when a session does not keep what it was told. */
export async function checkSession(port: number, cookie: string): Promise<void> {
  const ask = async (path: string): Promise<unknown> => (JSON.parse((await request(port, path, cookie)).body) as { n?: unknown }).n;
  const before = await ask('/read');
  const changed = await ask('/change');
  const after = await ask('/read');
  if (typeof before !== 'number' || changed !== before + 1 || after !== changed) {
    throw new Error(`a session read ${String(before)}, became ${String(changed)} and then read ${String(after)}`);
  }
}
