import type { Type } from '@nestjs/common';
import type { NestExpressApplication } from '@nestjs/platform-express';
import type { Cluster, Redis } from 'ioredis';
import type { Connection } from 'mongoose';
import type { DataSource } from 'typeorm';
import type { ServerSession, SessionRepository, SessionService } from 'nestjs-server-session';

/** What stands elsewhere in the application that the docs speak of. Blocks that use it are compiled, and not run. */
export declare const app: NestExpressApplication;
export declare const session: ServerSession;
export declare const sessions: SessionService;
export declare const handle: string;
export declare const user: { readonly id: string };
export declare const price: number;
export declare const myClient: Redis | Cluster;
export declare const connection: Connection;
export declare const dataSource: DataSource;
export declare const MyRepository: Type<SessionRepository>;
export declare class ConfigService {
  get(key: string): string | undefined;
  getOrThrow(key: string): string;
}
export declare class LoginDto {
  readonly userId: string;
  readonly password: string;
}
