import type { OutgoingHttpHeader, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import vary from 'vary';

/** What the session adds to a response. */
export interface HeadHeaders {
  readonly setCookie: string | undefined;
  /** Headers of the session's own, by name. */
  readonly own: Readonly<Record<string, string>> | undefined;
  /** The request headers that the response depends on. */
  readonly vary: string;
  /** The response header that scripts of other origins may read. */
  readonly expose: string | undefined;
}

/**
 * Adds headers to a head that is about to leave. Headers given to `writeHead` itself take the place of those set before, so they
 * are all set on the response first, and `writeHead` is called without them.
 *
 * @param args of `writeHead(status, [message], [headers])`; changed.
 * @param clearingCookies more `Set-Cookie` values.
 */
export function addToHead(
  response: ServerResponse,
  args: unknown[],
  { setCookie, own, vary: field, expose }: HeadHeaders,
  clearingCookies: readonly string[] = [],
): void {
  const given = args.findIndex((argument) => typeof argument === 'object' && argument !== null);
  if (given >= 0) setAll(response, args.splice(given)[0] as OutgoingHttpHeaders | OutgoingHttpHeader[]);
  if (setCookie !== undefined) response.appendHeader('Set-Cookie', setCookie);
  for (const cookie of clearingCookies) response.appendHeader('Set-Cookie', cookie);
  for (const name in own) response.setHeader(name, own[name]!);
  response.setHeader('Vary', appended(response, 'Vary', field));
  if (expose !== undefined)
    response.setHeader('Access-Control-Expose-Headers', appended(response, 'Access-Control-Expose-Headers', expose));
}

/** Node's response, or Fastify's reply. */
interface Head {
  statusCode: number;
  getHeaders(): OutgoingHttpHeaders;
  removeHeader(name: string): unknown;
  setHeader?(name: string, value: OutgoingHttpHeader): unknown;
  header?(name: string, value: OutgoingHttpHeader): unknown;
}

/**
 * Remembers a head while its response waits for a save. A handler may answer and then throw, and filters often answer without a look at
 * `headersSent`: the first answer goes out as it was.
 *
 * @returns what brings the head back.
 */
export function keepHead(head: Head): () => void {
  const { statusCode } = head;
  const headers = { ...head.getHeaders() };
  return () => {
    head.statusCode = statusCode;
    for (const name in head.getHeaders()) head.removeHeader(name);
    for (const name in headers) (head.header ?? head.setHeader)!.call(head, name, headers[name]!);
  };
}

/** Whether a header is about the body it came with, and wrong beside another one. All others (CORS, security policies …) stay. */
export function describesBody(name: string): boolean {
  return /^(content-(type|length|encoding|disposition|range|language|location)|transfer-encoding|etag|last-modified|location|accept-ranges|cache-control|expires)$/i.test(
    name,
  );
}

function appended(response: ServerResponse, name: string, field: string): string {
  const there = response.getHeader(name);
  return there === undefined || there === '' ? field : vary.append([there].flat().join(', '), field);
}

/** The forms that `writeHead` takes: an object, a flat list, a list of pairs. Names in a list may repeat. */
function setAll(response: ServerResponse, headers: OutgoingHttpHeaders | OutgoingHttpHeader[]): void {
  if (!Array.isArray(headers)) {
    for (const name in headers) if (headers[name] !== undefined) response.setHeader(name, headers[name]);
    return;
  }
  const flat = headers.every((entry) => Array.isArray(entry)) ? headers.flat() : (headers as (string | number)[]);
  const names = flat.filter((_, index) => index % 2 === 0).map(String);
  for (const name of names) response.removeHeader(name);
  for (const [index, name] of names.entries()) response.appendHeader(name, [flat[2 * index + 1] ?? ''].flat().map(String));
}
