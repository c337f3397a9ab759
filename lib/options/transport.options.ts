import type { OptionReader } from '../common/option-reader.js';
import type { ResolvedSessionOptions } from './resolved-options.js';

const HEADER = /^[\w!#$%&'*+.^`|~-]{1,100}$/;
/** Headers with a meaning of their own, in requests or responses. */
const TAKEN =
  /^(authorization|connection|content-.*|cookie|date|etag|expires|host|location|origin|set-cookie|transfer-encoding|upgrade|vary)$/i;

/** Reads how ids travel. */
export function resolveTransport(read: OptionReader): ResolvedSessionOptions['transport'] {
  const given = read.raw('transport');
  const ways: unknown[] = given === undefined ? ['cookie'] : Array.isArray(given) ? given : [given];
  const headers = ways.filter((way) => way !== 'cookie').map(headerOf);
  const cookies = ways.length - headers.length;
  if (ways.length === 0 || cookies > 1 || headers.length > 1 || headers.includes(undefined)) {
    read.fault('transport', given, "'cookie', { header: 'x-session-id' } with the name of a header of your own, or a list of both");
  }
  return { cookie: cookies > 0, header: headers[0] };
}

/** @returns undefined for what names no header. */
function headerOf(way: unknown): string | undefined {
  if (typeof way !== 'object' || way === null || Object.keys(way).join() !== 'header') return undefined;
  const { header } = way as { header: unknown };
  return typeof header === 'string' && HEADER.test(header) && !TAKEN.test(header) ? header.toLowerCase() : undefined;
}
