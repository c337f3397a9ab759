import { ModuleRef } from '@nestjs/core';
import { Test } from '@nestjs/testing';
import mongoose, { type Connection, type mongo } from 'mongoose';
import { randomUUID } from 'node:crypto';
import type { ServerSessionOptions } from 'nestjs-server-session';
import { resolveOptions } from '../../lib/options/resolve-options.js';
import { MongodbSessionRepository } from '../../lib/repositories/mongodb/mongodb-session.repository.js';
import type { SessionDocument } from '../../lib/repositories/mongodb/session-document.js';

/** A repository as the module makes it, in an application without any connection of its own. */
export async function openMongodb(
  mongodb: ServerSessionOptions['mongodb'],
  options: ServerSessionOptions = {},
): Promise<MongodbSessionRepository> {
  const module = await Test.createTestingModule({}).compile();
  return MongodbSessionRepository.create({
    options: resolveOptions({ ...options, type: 'mongodb', mongodb }),
    moduleRef: module.get(ModuleRef),
  });
}

/** A connection to a database that nobody else uses. */
export async function connect(url: string, options: mongoose.ConnectOptions = {}): Promise<Connection> {
  return mongoose.createConnection(url, { dbName: `test_${randomUUID()}`, monitorCommands: true, ...options }).asPromise();
}

/** Leaves nothing behind. The substitute for MongoDB cannot drop databases, and it is thrown away with all it holds. */
export async function discard(connection: Connection): Promise<void> {
  await connection.dropDatabase().catch(() => undefined);
  await connection.close();
}

export function documents(connection: Connection, name = 'sessions'): mongo.Collection<SessionDocument> {
  return connection.db!.collection<SessionDocument>(name);
}

/** The commands that a piece of work sends, except those by which the driver keeps its connections. */
export async function commandsDuring(connection: Connection, work: () => Promise<unknown>): Promise<mongo.CommandStartedEvent[]> {
  const events: mongo.CommandStartedEvent[] = [];
  const note = (event: mongo.CommandStartedEvent): void => void events.push(event);
  connection.getClient().on('commandStarted', note);
  try {
    await work();
  } finally {
    connection.getClient().off('commandStarted', note);
  }
  return events;
}
