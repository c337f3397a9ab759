import { MissingPackageError } from '../errors.js';
import type { ResolvedSessionOptions } from '../options/resolved-options.js';
import { JsonSerializer } from './json.serializer.js';
import { MsgpackSerializer } from './msgpack.serializer.js';
import { SerializerRegistry } from './serializer-registry.js';
import type { SessionSerializer } from './session-serializer.js';

/** The chosen serializer, and the built-in ones to read what they wrote before. */
export async function createSerializers(chosen: ResolvedSessionOptions['serializer']): Promise<SerializerRegistry> {
  const json = new JsonSerializer();
  if (chosen === 'msgpack') return new SerializerRegistry(await MsgpackSerializer.create(), [json]);
  const msgpack = await msgpackIfInstalled();
  return new SerializerRegistry(chosen === 'json' ? json : chosen, msgpack === undefined ? [json] : [json, msgpack]);
}

/** An application that never used it does not need the package. */
async function msgpackIfInstalled(): Promise<SessionSerializer | undefined> {
  try {
    return await MsgpackSerializer.create();
  } catch (error) {
    if (error instanceof MissingPackageError) return undefined;
    throw error;
  }
}
