import { kindOf } from '../common/redact.js';
import type { FormerSessions } from '../interop/former-sessions.js';
import type { OptionReader } from '../common/option-reader.js';

const ALLOWED = "a list of what 'expressSessions' and 'flaskSessions' of nestjs-server-session/interop make";

/** Reads the former systems, and asks each what is wrong with its options. */
export function resolveAdopt(read: OptionReader, faults: string[], ownName: string): readonly FormerSessions[] {
  const given = read.check<readonly unknown[]>('adopt', [], ALLOWED, Array.isArray);
  for (const [index, former] of given.entries()) {
    if (!isFormerSessions(former)) {
      faults.push(`'adopt[${index}]' is ${kindOf(former)}; allowed: ${ALLOWED}`);
      continue;
    }
    faults.push(...former.faults().map((fault) => `adopt[${index}]: ${fault}`));
    if (former.keep && former.cookieName === ownName) {
      faults.push(
        `adopt[${index}]: 'keep' is true; allowed: true with another name than 'cookie.name', because one cookie cannot hold both ids`,
      );
    }
  }
  return given.filter(isFormerSessions);
}

/** By its members: an application may have this class twice, as an ES module and in CommonJS. */
function isFormerSessions(value: unknown): value is FormerSessions {
  if (typeof value !== 'object' || value === null) return false;
  return ['identify', 'read', 'end', 'faults'].every((name) => typeof (value as Record<string, unknown>)[name] === 'function');
}
