import type { BackEnd } from './repository.factory.js';

/**
 * The back ends, by the `type` that chooses them. This is the only place that knows them all: the type `SessionType`, the option
 * groups and the messages follow from it.
 *
 * An entry imports the `backEnd` of a folder's options file. Nothing of a back end is loaded before it is chosen, or its group of
 * options is given; the repository and the client package only when it is chosen.
 */
export const BACK_ENDS = {
  /** Keeps nothing. */
  null: async () => (await import('./null/null.options.js')).backEnd,
  /** For `type: 'memory'`. */
  memory: async () => (await import('./memory/memory.options.js')).backEnd,
  /** For `type: 'redis'`. */
  redis: async () => (await import('./redis/redis.options.js')).backEnd,
  /** For `type: 'memcached'`. */
  memcached: async () => (await import('./memcached/memcached.options.js')).backEnd,
  /** For `type: 'filesystem'`. */
  filesystem: async () => (await import('./filesystem/filesystem.options.js')).backEnd,
  /** For `type: 'mongodb'`. */
  mongodb: async () => (await import('./mongodb/mongodb.options.js')).backEnd,
  /** For `type: 'typeorm'`. */
  typeorm: async () => (await import('./typeorm/typeorm.options.js')).backEnd,
} satisfies Record<string, () => Promise<BackEnd>>;

/** The back ends. */
export type SessionType = keyof typeof BACK_ENDS;

type OptionsOf<Name extends SessionType> = Awaited<ReturnType<(typeof BACK_ENDS)[Name]>> extends BackEnd<infer Options> ? Options : never;

/** A group of options for each back end that has some, under the name of its type. */
export type BackEndOptions = { [Name in keyof typeof BACK_ENDS as OptionsOf<Name> extends undefined ? never : Name]?: OptionsOf<Name> };

export const SESSION_TYPES = Object.keys(BACK_ENDS) as SessionType[];

/** The back ends whose options are to be checked. */
export type GivenBackEnds = ReadonlyMap<SessionType, BackEnd>;

/** Loads the back ends that have a group of options here, chosen or not: what is left over from another type is still checked. */
export async function loadBackEnds(options: object | null | undefined): Promise<GivenBackEnds> {
  const given: Readonly<Record<string, unknown>> = { ...options };
  const names = SESSION_TYPES.filter((name) => given[name] !== undefined);
  return new Map(await Promise.all(names.map(async (name) => [name, await BACK_ENDS[name]()] as const)));
}
