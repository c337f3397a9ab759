import { describe, expect, it } from '@jest/globals';
import mongoose from 'mongoose';
import type { ServerSessionOptions } from 'nestjs-server-session';
import { faultsOf as faults } from '../support/resolve-options.js';

const faultsOf = (mongodb: unknown): readonly string[] => faults({ type: 'mongodb', mongodb });

describe('The options of MongoDB', () => {
  it.each<[string, ServerSessionOptions['mongodb']]>([
    ['may be none', undefined],
    ['may be empty', {}],
    ['take a mongoose connection', { connection: mongoose.createConnection() }],
    ['take the name of a connection', { connectionName: 'cats' }],
    ['take a URI', { uri: 'mongodb://user:password@a:27017,b:27018/shop?replicaSet=rs0', db: 'web' }],
    ['take the URI of a seed list', { uri: 'mongodb+srv://cluster.example.org' }],
    ['take a database, a collection and createIndexes', { db: 'web', collection: 'web.sessions', createIndexes: false }],
  ])('%s', (_what, mongodb) => {
    expect(faultsOf(mongodb)).toEqual([]);
  });

  it.each<[string, unknown, string]>([
    ['connection', { connection: {} }, "'mongodb.connection' is an object; allowed: a mongoose Connection"],
    ['connection', { connection: 'mongodb://host' }, "'mongodb.connection' is 'mongodb://…'; allowed: a mongoose Connection"],
    ['connectionName', { connectionName: '' }, "'mongodb.connectionName' is ''"],
    ['uri', { uri: 'redis://127.0.0.1' }, "'mongodb.uri' is 'redis://…'; allowed: a URI as in mongodb://127.0.0.1:27017"],
    ['uri', { uri: 'mongodb://' }, "'mongodb.uri' is 'mongodb://…'"],
    ['db', { db: 'a/b' }, "'mongodb.db' is 'a/b'"],
    ['db', { db: 'x'.repeat(64) }, "'mongodb.db' is 'xxx"],
    ['collection', { collection: '' }, "'mongodb.collection' is ''"],
    ['collection', { collection: '$cmd' }, "'mongodb.collection' is '$cmd'"],
    ['collection', { collection: 'system.users' }, "'mongodb.collection' is 'system.users'"],
    ['createIndexes', { createIndexes: 'no' }, "'mongodb.createIndexes' is 'no'; allowed: true or false"],
    ['a slip of the pen', { colection: 'x' }, "'mongodb.colection' is not an option; allowed: collection, connection"],
    ['two ways at once', { uri: 'mongodb://host', connectionName: 'cats' }, "because 'connectionName' is given"],
  ])('that are wrong are named: %s', (_name, mongodb, message) => {
    expect(faultsOf(mongodb)).toEqual([expect.stringContaining(message)]);
  });

  it('are all reported at once, and no password with them', () => {
    const all = faultsOf({ uri: 'mongo://user:secret@host', db: '', collection: 7 });
    expect(all).toHaveLength(3);
    expect(all.join()).not.toContain('secret');
  });
});
