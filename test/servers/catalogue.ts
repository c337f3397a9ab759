import type { ServerKind } from './test-server.js';

/** Everything needed to find, or to fetch, the server of one kind. */
export interface CatalogueEntry {
  /** Executable names, the preferred one first. */
  readonly binaries: readonly string[];
  /** Debian and Ubuntu package; MongoDB has none. */
  readonly debianPackage?: string;
  readonly dockerImage: string;
  /** Environment variable that names a server already running. */
  readonly variable: string;
}

const redis: CatalogueEntry = {
  binaries: ['redis-server', 'valkey-server'],
  debianPackage: 'redis-server',
  dockerImage: 'redis:7',
  variable: 'REDIS_URL',
};

export const catalogue: Readonly<Record<ServerKind, CatalogueEntry>> = {
  redis,
  'redis-cluster': redis,
  memcached: {
    binaries: ['memcached'],
    debianPackage: 'memcached',
    dockerImage: 'memcached:1.6',
    variable: 'MEMCACHED_SERVERS',
  },
  postgres: {
    binaries: ['postgres'],
    debianPackage: 'postgresql',
    dockerImage: 'postgres:17',
    variable: 'POSTGRES_URL',
  },
  mariadb: {
    binaries: ['mariadbd'],
    debianPackage: 'mariadb-server',
    dockerImage: 'mariadb:11.4',
    variable: 'MYSQL_URL',
  },
  mongodb: {
    binaries: ['mongod'],
    dockerImage: 'mongo:8.0',
    variable: 'MONGODB_URL',
  },
};
