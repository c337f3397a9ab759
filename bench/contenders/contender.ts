import type { INestApplication, ModuleMetadata, Provider, Type } from '@nestjs/common';
import type { NestExpressApplication } from '@nestjs/platform-express';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';

export type Adapter = 'express' | 'fastify';
export type Store = 'redis' | 'memory' | 'filesystem' | 'postgres' | 'mongodb';

/** Where the contender's process finds its store. */
export interface StoreLocation {
  readonly store: Store;
  /** A URL, or a folder. */
  readonly location: string;
}

/** The lifetime that all contenders are given, in seconds. */
export const LIFETIME = 24 * 60 * 60;

/** One way to have sessions, as its own documentation recommends it. */
export interface Contender {
  /** The module's imports, where it is a Nest module. */
  readonly imports?: (where: StoreLocation) => NonNullable<ModuleMetadata['imports']>;
  readonly providers?: (where: StoreLocation) => Provider[];
  /** The routes that use a session. */
  readonly controller?: (where: StoreLocation) => Type | Promise<Type>;
  readonly configure?: (app: INestApplication & NestExpressApplication & NestFastifyApplication, where: StoreLocation) => Promise<void>;
}
