import type { ServerResponse } from 'node:http';
import vary from 'vary';

/** `writeHead(status, [message], [headers])`. */
export type HeadArguments = unknown[];

/** What the session adds to a response. */
export interface HeadHeaders {
  readonly setCookie: string | undefined;
  /** The request header that the response depends on. */
  readonly vary: string | undefined;
}

/**
 * Adds a cookie and a `Vary` to a head that is about to leave. Headers that are given to `writeHead` itself replace those set
 * before, so what they have of the two is completed there.
 */
export function addToHead(response: ServerResponse, args: HeadArguments, { setCookie, vary: field }: HeadHeaders): void {
  if (setCookie !== undefined) {
    const given = takeFromArguments(args, 'set-cookie');
    if (given !== undefined) response.setHeader('Set-Cookie', [given].flat());
    response.appendHeader('Set-Cookie', setCookie);
  }
  if (field !== undefined) {
    const given = takeFromArguments(args, 'vary') ?? response.getHeader('Vary') ?? '';
    response.setHeader('Vary', vary.append([given].flat().join(', '), field));
  }
}

/** Takes a header out of the arguments, in either of the forms that Node knows. The arguments are changed, their objects are not. */
function takeFromArguments(args: HeadArguments, name: string): string | string[] | undefined {
  const index = args.findIndex((arg) => typeof arg === 'object' && arg !== null);
  if (index < 0) return undefined;
  const headers = args[index] as Record<string, unknown> | unknown[];
  const pairs = Array.isArray(headers) ? toPairs(headers) : Object.entries(headers);
  const matching = pairs.filter(([key]) => key.toLowerCase() === name);
  if (matching.length === 0) return undefined;
  const rest = pairs.filter(([key]) => key.toLowerCase() !== name);
  args[index] = Array.isArray(headers) ? rest.flat() : Object.fromEntries(rest);
  return matching.flatMap(([, value]) => (Array.isArray(value) ? value.map(String) : String(value)));
}

/** Node's flat form `[name, value, name, value, …]`, or a list of pairs. */
function toPairs(headers: unknown[]): [string, unknown][] {
  if (headers.every((item) => Array.isArray(item))) return headers.map(([key, value]: unknown[]) => [String(key), value]);
  const pairs: [string, unknown][] = [];
  for (let index = 0; index < headers.length; index += 2) pairs.push([String(headers[index]), headers[index + 1]]);
  return pairs;
}
