import type { SessionRequest } from 'nestjs-server-session';

/** How Node writes an IPv4 address on a server that listens to IPv6, too. */
const MAPPED = /^::ffff:(?=\d+\.)/;

/** What is noted of the request that a session begins with: the option `meta` of the module. */
export function noteDevice({ headers, ip }: SessionRequest): Record<string, unknown> {
  return { agent: headers['user-agent']?.slice(0, 300), address: ip?.replace(MAPPED, '') };
}

const BROWSERS: readonly (readonly [RegExp, string])[] = [
  [/Edg(e|A|iOS)?\//, 'Edge'],
  [/OPR\//, 'Opera'],
  [/Firefox\/|FxiOS\//, 'Firefox'],
  [/Chrom(e|ium)\/|CriOS\//, 'Chrome'],
  [/Safari\//, 'Safari'],
  [/curl\//, 'curl'],
];

const SYSTEMS: readonly (readonly [RegExp, string])[] = [
  [/iPhone|iPad/, 'iOS'],
  [/Android/, 'Android'],
  [/Windows/, 'Windows'],
  [/Macintosh|Mac OS X/, 'macOS'],
  [/Linux|X11/, 'Linux'],
];

/** A user agent as people call it, as in "Firefox on Linux". Order matters: most browsers claim to be several. */
export function describeAgent(agent: unknown): string {
  if (typeof agent !== 'string') return 'Unknown device';
  const find = (table: typeof BROWSERS): string | undefined => table.find(([form]) => form.test(agent))?.[1];
  const browser = find(BROWSERS) ?? 'Unknown browser';
  const system = find(SYSTEMS);
  return system === undefined ? browser : `${browser} on ${system}`;
}
