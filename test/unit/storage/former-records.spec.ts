import { beforeAll, describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { AesGcmCipher, PrincipalNames } from '../../../lib/storage/record.cipher.js';
import { RecordCodec, type SessionContent } from '../../../lib/storage/record.codec.js';
import { createSerializers } from '../../../lib/storage/serializers.js';
import type { SerializerRegistry } from '../../../lib/storage/serializers.js';
import { FIXTURE_KEY, fixtureFields } from '../../fixtures/stored-values.js';

interface Fixture {
  readonly kind: string;
  readonly serializer: 'json' | 'msgpack';
  readonly encrypted: boolean;
  readonly handle: string;
  /** In base64. */
  readonly payload: string;
}

interface Fixtures {
  readonly principalIndex: { readonly principal: string; readonly plain: string; readonly encrypted: string };
  readonly records: readonly Fixture[];
}

const { records, principalIndex } = JSON.parse(
  readFileSync(new URL('../../fixtures/records-0.1.0.json', import.meta.url), 'utf8'),
) as Fixtures;

const PREFIX = 'session:';
const codecOf = ({ encrypted }: Fixture, keyPrefix = PREFIX, keys = [FIXTURE_KEY]): RecordCodec =>
  new RecordCodec({ cipher: encrypted ? new AesGcmCipher(keys, keyPrefix) : undefined });
const payloadOf = ({ payload }: Fixture): Buffer => Buffer.from(payload, 'base64');
const nameOf = ({ kind, serializer, encrypted }: Fixture): string => `${kind}, ${serializer}, ${encrypted ? 'encrypted' : 'plain'}`;

const named = records.map((fixture): [string, Fixture] => [nameOf(fixture), fixture]);
const sessions = named.filter(([name]) => name.startsWith('session'));

describe('A record that version 0.1.0 wrote', () => {
  let json: SerializerRegistry;
  let msgpack: SerializerRegistry;
  beforeAll(async () => {
    [json, msgpack] = await Promise.all([createSerializers('json'), createSerializers('msgpack')]);
  });

  it.each(sessions)('is read with every value as it was: %s', (_, fixture) => {
    const content = codecOf(fixture).decode(fixture.handle, payloadOf(fixture)) as SessionContent;
    expect(content).toMatchObject({ kind: 'session', createdAt: 1_790_000_000_000, serializer: fixture.serializer });
    for (const registry of [json, msgpack]) {
      const { fields } = registry.convert(content);
      const read = new Map(Array.from(fields, ([key, bytes]) => [key, registry.current.deserialize(bytes)]));
      expect(read).toStrictEqual(fixtureFields());
    }
  });

  it.each(named.filter(([name]) => name.startsWith('tombstone')))('is read: %s', (name, fixture) => {
    expect(codecOf(fixture).decode(fixture.handle, payloadOf(fixture))).toEqual({
      kind: 'retired',
      until: 4_000_000_000_000,
      to: name.includes('leads on') ? expect.stringMatching(/^[\w-]{43}$/) : undefined,
    });
  });

  it.each(named.filter(([, { encrypted }]) => encrypted))('is bound to its prefix once it is stored again: %s', (_, fixture) => {
    const [mine, other] = [codecOf(fixture), codecOf(fixture, 'other:')];
    const content = other.decode(fixture.handle, payloadOf(fixture));
    const stored = mine.encode(fixture.handle, content);
    expect(mine.decode(fixture.handle, stored)).toEqual(content);
    expect(() => other.decode(fixture.handle, stored)).toThrow(/another keyPrefix/);
    // Nor does it with the mark of 0.1.0 in place of its own.
    const disguised = Buffer.concat([payloadOf(fixture).subarray(0, 2), stored.subarray(2)]);
    for (const codec of [mine, other]) expect(() => codec.decode(fixture.handle, disguised)).toThrow(/another keyPrefix/);
  });

  it.each(named)('is no session where ids are not hashed, for its handle may have been a hash: %s', (_, fixture) => {
    const cipher = fixture.encrypted ? new AesGcmCipher([FIXTURE_KEY], PREFIX) : undefined;
    const plainIds = new RecordCodec({ cipher, hashIds: false });
    expect(() => plainIds.decode(fixture.handle, payloadOf(fixture))).toThrow(/stored under the hash of its id/);
  });

  it('is found by its principal, also where that was stored as a hash', () => {
    const { principal, plain, encrypted } = principalIndex;
    expect(new PrincipalNames().of(principal)).toEqual([plain]);
    expect(new PrincipalNames([FIXTURE_KEY]).of(principal)).toContain(encrypted);
    expect(new PrincipalNames([FIXTURE_KEY]).of(principal)[0]).not.toBe(encrypted);
  });
});

describe('The index of principals where records are encrypted', () => {
  it('has the name that processes of other versions look for', () => {
    expect(new PrincipalNames(['k'.repeat(32)]).of('ada')[0]).toBe('P8AniMWTVKLVoX7H8dwb1BqLJwpLbs2BIkuluc6UZXI');
  });

  const OTHER_KEY = 'another key, also of 32 characters!!';
  it('has names that only the key gives', () => {
    const [mine] = new PrincipalNames([FIXTURE_KEY]).of('ada');
    expect(mine).toMatch(/^[\w-]{43}$/);
    expect(new PrincipalNames([FIXTURE_KEY]).of('bob')[0]).not.toBe(mine);
    expect(new PrincipalNames([OTHER_KEY]).of('ada')).not.toContain(mine);
  });

  it('is looked up by every key after a rotation, and written with the first', () => {
    const [former] = new PrincipalNames([FIXTURE_KEY]).of('ada');
    const rotated = new PrincipalNames([OTHER_KEY, FIXTURE_KEY]).of('ada');
    expect(rotated[0]).toBe(new PrincipalNames([OTHER_KEY]).of('ada')[0]);
    expect(rotated).toContain(former);
  });
});

describe('A record of a later version', () => {
  const line = '{"v":1,"s":"json","c":1,"a":2,"k":3,"z":{"later":[1]},"f":[[".a",1]],"__proto__":5}';

  it('is read without what this one does not know, and stored with it again', () => {
    const codec = new RecordCodec();
    const content = codec.decode('handle', Buffer.from(`${line}\n1`)) as SessionContent;
    expect(content).toMatchObject({ createdAt: 1, fields: new Map([['.a', Buffer.from('1')]]) });
    const again = Buffer.from(codec.encode('handle', { ...content, accessedAt: 9 })).toString();
    expect(JSON.parse(again.split('\n', 1)[0]!)).toEqual(JSON.parse(line.replace('"a":2', '"a":9')));
  });

  it('that says too much to be stored again is unreadable', () => {
    const deep = '['.repeat(100_000) + ']'.repeat(100_000);
    expect(() => new RecordCodec().decode('handle', Buffer.from(`${line.replace('5}', `${deep}}`)}\n1`))).toThrow(/stored session/);
  });
});

describe('A record that is stored under the id itself', () => {
  const content: SessionContent = { kind: 'session', createdAt: 1, accessedAt: 2, cookieAt: 3, serializer: 'json', fields: new Map() };
  const plainIds = new RecordCodec({ hashIds: false });

  it('says so, and is read with and without hashing', () => {
    const record = plainIds.encode('handle', content);
    expect(plainIds.decode('handle', record)).toEqual(content);
    expect(new RecordCodec().decode('handle', record)).toEqual(content);
  });

  it('is all that counts where ids are not hashed, tombstones included', () => {
    const tombstone = { kind: 'retired', until: 4_000_000_000_000 } as const;
    expect(plainIds.decode('handle', plainIds.encode('handle', tombstone))).toEqual(tombstone);
    for (const written of [content, tombstone]) {
      expect(() => plainIds.decode('handle', new RecordCodec().encode('handle', written))).toThrow(/hashIds/);
    }
  });
});
