export const DESCRIPTION = `Looks after the sessions of an application that uses nestjs-server-session: counts, lists and ends them,
removes expired ones, and creates the SQL table. It shows handles, which name sessions; never ids, which are what
browsers sign in with.`;

export const AFTER = `
Where the sessions are:
  The environment says it, with the variables that sessionOptionsFromEnv(process.env) reads:
    SESSION_TYPE          redis, filesystem, mongodb, sqlalchemy (typeorm) or memcached
    SESSION_REDIS         redis://127.0.0.1:6379
    SESSION_FILE_DIR      /var/lib/app/server_session
    SESSION_MONGODB       mongodb://127.0.0.1:27017; SESSION_MONGODB_DB, SESSION_MONGODB_COLLECT
    SESSION_SQLALCHEMY    postgresql://user:password@host/database; SESSION_SQLALCHEMY_TABLE
    SESSION_MEMCACHED     127.0.0.1:11211 (can revoke by handle, cannot list or count)
    SESSION_KEY_PREFIX    session:
    SESSION_SERIALIZATION_FORMAT   json or msgpack
  Or --module <file> names a compiled file, such as dist/app.module.js, whose Nest module is started without a web
  server. Needed for whatever the environment cannot say: encryption, a cluster, a repository of your own.

Exit codes:
  0  done
  1  failed: the store is down, the back end cannot do this, the application does not start
  2  wrong usage
  3  nothing found: no session was listed or ended

Examples:
  $ SESSION_TYPE=redis nestjs-server-session count
  $ nestjs-server-session list --module dist/app.module.js --principal ada
  $ nestjs-server-session revoke-all --module dist/app.module.js --principal ada
  $ nestjs-server-session migrate-table --print --type postgres > create-sessions.sql`;

export const COUNT = `
Examples:
  $ nestjs-server-session count
  $ nestjs-server-session count --principal ada --json      {"count":2}`;

export const LIST = `
With --json, each line is one session: handle, principal, createdAt, lastAccessedAt, expiresAt, meta, and with --data the
data. Where there may be more, a last line is {"cursor":"…"}. Looking extends no session.
Exit code 3: there are none.

Examples:
  $ nestjs-server-session list --principal ada
  $ nestjs-server-session list --all --json | jq -r 'select(.principal == null) | .handle'`;

export const REVOKE = `
The next request of such a session is anonymous, and one in flight cannot save it any more.
Exit code 3: none of them was there.

Example:
  $ nestjs-server-session revoke wHM6zchPXsbaY9DrDoGm0DotLsr7fB7NZtSo2Q_GvSQ`;

export const REVOKE_ALL = `
Works in batches and says on stderr how far it is.
Exit code 3: there were none.

Examples:
  $ nestjs-server-session revoke-all --principal ada
  $ nestjs-server-session revoke-all --principal ada --except wHM6zchPXsbaY9DrDoGm0DotLsr7fB7NZtSo2Q_GvSQ`;

export const PURGE = `
For filesystem and SQL. Applications do this themselves every 15 minutes unless the option purge is false (SESSION_CLEANUP_N_REQUESTS=0):
then call it from cron.

Example:
  $ SESSION_TYPE=filesystem SESSION_FILE_DIR=/var/lib/app/server_session nestjs-server-session purge`;

export const MIGRATE_TABLE = `
A table that is there stays as it is. The database user needs the right to create tables; the application does not, if
it has typeorm: { createTable: false }.

Examples:
  $ SESSION_TYPE=sqlalchemy SESSION_SQLALCHEMY=postgresql://admin@db/app nestjs-server-session migrate-table
  $ nestjs-server-session migrate-table --print --type mysql --table web.sessions`;
