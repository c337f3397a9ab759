import { parseSetCookie, type SetCookie } from 'cookie';

export interface Answer {
  readonly status: number;
  readonly text: string;
  readonly json: unknown;
  readonly headers: Headers;
  /** The `Set-Cookie` headers of this answer. */
  readonly cookies: SetCookie[];
}

/** A client that keeps cookies, as a browser does for one site. */
export class Browser {
  readonly jar = new Map<string, string>();

  constructor(readonly url: string) {}

  get(path: string, headers: Record<string, string> = {}): Promise<Answer> {
    return this.request('GET', path, undefined, headers);
  }

  post(path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> {
    return this.request('POST', path, body, headers);
  }

  /** With a body: as JSON, or as a form that was filled in. */
  async request(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> {
    const isJson = body !== undefined && !(body instanceof URLSearchParams);
    const response = await fetch(new URL(path, this.url), {
      method,
      redirect: 'manual',
      headers: {
        ...(this.jar.size > 0 ? { cookie: this.cookieHeader } : {}),
        ...(isJson ? { 'content-type': 'application/json' } : {}),
        ...headers,
      },
      ...(body === undefined ? {} : { body: isJson ? JSON.stringify(body) : (body as URLSearchParams) }),
    });
    const cookies = response.headers.getSetCookie().map((header) => parseSetCookie(header));
    this.keep(cookies);
    const text = await response.text();
    return { status: response.status, text, json: parse(text), headers: response.headers, cookies };
  }

  /** A second window of the same browser, with a jar of its own from here on. */
  clone(): Browser {
    const copy = new Browser(this.url);
    for (const [name, value] of this.jar) copy.jar.set(name, value);
    return copy;
  }

  get cookieHeader(): string {
    return Array.from(this.jar, ([name, value]) => `${name}=${value}`).join('; ');
  }

  private keep(cookies: SetCookie[]): void {
    for (const { name, value, maxAge } of cookies) {
      if (maxAge === 0) this.jar.delete(name);
      else this.jar.set(name, encodeURIComponent(value ?? ''));
    }
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
