import type { OutgoingHttpHeader, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import vary from 'vary';

/** `writeHead(status, [message], [headers])`. */
export type HeadArguments = unknown[];

/** What the session adds to a response. */
export interface HeadHeaders {
  readonly setCookie: string | undefined;
  /** The request header that the response depends on. */
  readonly vary: string;
}

type Headers = OutgoingHttpHeaders | OutgoingHttpHeader[];

/**
 * Adds a cookie and a `Vary` to a head that is about to leave. Headers that are given to `writeHead` itself would replace those
 * set before, so the two are completed where they will stand. The arguments are changed, the objects among them are not.
 */
export function addToHead(response: ServerResponse, args: HeadArguments, added: HeadHeaders): void {
  const index = args.findIndex(isHeaders);
  const given = args[index] as Headers | undefined;
  const headers = given === undefined || Array.isArray(given) ? undefined : given;
  if (headers === undefined) {
    if (given !== undefined) args[index] = withoutPairs(response, given as OutgoingHttpHeader[]);
    addToResponse(response, added);
  } else {
    args[index] = completed(response, headers, added);
  }
}

/** Whether the head announces server-sent events. */
export function isEventStream(response: ServerResponse, args: HeadArguments): boolean {
  const headers = args.find(isHeaders) as Headers | undefined;
  const given = headers === undefined || Array.isArray(headers) ? undefined : valueOf(headers, 'content-type');
  const type = given ?? response.getHeader('content-type');
  return typeof type === 'string' && type.startsWith('text/event-stream');
}

/** Whether a header is about the body it came with, and wrong beside another one. All others (CORS, security policies …) stay. */
export function describesBody(name: string): boolean {
  return /^(content-(type|length|encoding|disposition|range|language|location)|transfer-encoding|etag|last-modified|location|accept-ranges|cache-control|expires)$/i.test(
    name,
  );
}

function isHeaders(argument: unknown): boolean {
  return typeof argument === 'object' && argument !== null;
}

function addToResponse(response: ServerResponse, { setCookie, vary: field }: HeadHeaders): void {
  if (setCookie !== undefined) response.appendHeader('Set-Cookie', setCookie);
  response.setHeader('Vary', varyBy(response.getHeader('Vary'), field));
}

function completed(response: ServerResponse, headers: OutgoingHttpHeaders, { setCookie, vary: field }: HeadHeaders): OutgoingHttpHeaders {
  const copy: OutgoingHttpHeaders = { ...headers };
  const given = take(copy, 'vary') ?? response.getHeader('vary');
  copy['vary'] = varyBy(given, field);
  if (setCookie !== undefined) {
    const cookies = take(copy, 'set-cookie') ?? response.getHeader('set-cookie') ?? [];
    copy['set-cookie'] = [...[cookies].flat().map(String), setCookie];
  }
  return copy;
}

function varyBy(given: OutgoingHttpHeader | undefined, field: string): string {
  return given === undefined || given === '' ? field : vary.append([given].flat().join(', '), field);
}

function valueOf(headers: OutgoingHttpHeaders, name: string): OutgoingHttpHeader | undefined {
  // Fastify's names are in lower case; those of others need a look at each.
  if (name in headers) return headers[name];
  for (const key in headers) if (key.length === name.length && key.toLowerCase() === name) return headers[key];
  return undefined;
}

/** Takes a header out, whatever the case of its name. */
function take(headers: OutgoingHttpHeaders, name: string): OutgoingHttpHeader | undefined {
  const value = valueOf(headers, name);
  if (value === undefined) return undefined;
  for (const key of Object.keys(headers)) if (key.toLowerCase() === name) delete headers[key];
  return value;
}

/** Node's flat form `[name, value, name, value, …]`: the two headers move to the response, the rest stays. */
function withoutPairs(response: ServerResponse, flat: OutgoingHttpHeader[]): OutgoingHttpHeader[] {
  const rest: OutgoingHttpHeader[] = [];
  for (let index = 0; index < flat.length; index += 2) {
    const name = String(flat[index]);
    const value = flat[index + 1] ?? '';
    if (/^(vary|set-cookie)$/i.test(name)) response.appendHeader(name, [value].flat().map(String));
    else rest.push(name, value);
  }
  return rest;
}
