import type { ResolvedSessionOptions } from '../options/resolved-options.js';
import { JsonSerializer } from './json.serializer.js';
import { MsgpackSerializer } from './msgpack.serializer.js';
import { SerializerRegistry } from './serializer-registry.js';
import type { SessionSerializer } from './session-serializer.js';

/** The chosen serializer, and the built-in ones to read what they wrote before. */
export async function createSerializers(chosen: ResolvedSessionOptions['serializer']): Promise<SerializerRegistry> {
  const json = new JsonSerializer();
  if (chosen === 'msgpack') return new SerializerRegistry(await MsgpackSerializer.create(), [json]);
  const former: SessionSerializer[] = [json];
  // Only where it is installed: an application that never used it does not need it.
  const msgpack = await MsgpackSerializer.create().catch(() => undefined);
  if (msgpack !== undefined) former.push(msgpack);
  return new SerializerRegistry(chosen === 'json' ? json : chosen, former);
}
