import { rename, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import type { TcpProxy } from '../../servers/index.js';
import { askMariaDb, askPostgres, type Condition } from './conditions.js';
import type { Store, StoreName } from './stores.js';

/** What of better-sqlite3, which has no types of its own, is used here. */
interface SqliteFile {
  exec(text: string): void;
  close(): void;
}
const Database = createRequire(import.meta.url)('better-sqlite3') as new (path: string) => SqliteFile;

/** Everything that makes a store throw: what happens to any server, and what its own answers may repeat of a session. */
export function errorFaults(name: StoreName, store: Store, proxy: TcpProxy | undefined): Record<string, Condition> {
  return { ...serverFaults(store, proxy), ...store.conditions, ...REFUSALS[name]?.(store) };
}

function serverFaults({ server }: Store, proxy: TcpProxy | undefined): Record<string, Condition> {
  if (server === undefined) return {};
  const ofServer: Record<string, Condition> = {
    'not there': (isOn) => (isOn ? server.kill() : server.restart()),
    hung: (isOn) => (isOn ? server.pause() : server.resume()),
  };
  if (proxy === undefined) return ofServer;
  let timer: NodeJS.Timeout | undefined;
  return {
    ...ofServer,
    'cut within its replies': async (isOn) => {
      clearInterval(timer);
      if (isOn) timer = setInterval(() => proxy.cutAfterBytes(Math.random() * 200), 5);
      else await proxy.heal();
    },
  };
}

/** Refusals whose words hold the session. */
const REFUSALS: Partial<Record<StoreName, (store: Store) => Record<string, Condition>>> = {
  postgres: ({ server }) => ({
    'refused by a trigger': async (isOn) => {
      if (!isOn) return askPostgres(server!, 'DROP TRIGGER refuse ON sessions');
      await askPostgres(
        server!,
        `CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           RAISE EXCEPTION 'not %: %', NEW.id, convert_from(NEW.payload, 'UTF8') USING DETAIL = NEW.principal, HINT = NEW.id;
         END $$`,
        'CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON sessions FOR EACH ROW EXECUTE FUNCTION refuse()',
      );
    },
    'refused by a constraint': (isOn) =>
      askPostgres(server!, `ALTER TABLE sessions ${isOn ? 'ADD CONSTRAINT never CHECK (version < 0) NOT VALID' : 'DROP CONSTRAINT never'}`),
  }),
  mariadb: ({ server }) => ({
    'refused by a trigger': async (isOn) => {
      if (!isOn) return askMariaDb(server!, 'DROP TRIGGER refuse');
      await askMariaDb(
        server!,
        `CREATE TRIGGER refuse BEFORE INSERT ON sessions FOR EACH ROW BEGIN
           DECLARE words VARCHAR(128) DEFAULT LEFT(CONCAT('not ', RIGHT(CONVERT(NEW.payload USING utf8mb4), 60), ' ', NEW.id), 120);
           SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = words;
         END`,
      );
    },
  }),
  sqlite: (store) => ({
    locked: sqliteCondition(store, 'BEGIN IMMEDIATE', 'ROLLBACK'),
    'refused by a trigger': sqliteCondition(
      store,
      "CREATE TRIGGER refuse BEFORE INSERT ON sessions BEGIN SELECT RAISE(ABORT, 'not this one'); END",
      'DROP TRIGGER refuse',
    ),
  }),
  filesystem: (store) => ({
    'not a folder': async (isOn) => {
      const dir = store.session().filesystem?.dir ?? '';
      if (isOn) await rename(dir, `${dir}-away`).then(() => writeFile(dir, ''));
      else await rm(dir).then(() => rename(`${dir}-away`, dir));
    },
  }),
};

function sqliteCondition(store: Store, on: string, off: string): Condition {
  let file: SqliteFile | undefined;
  return async (isOn) => {
    file ??= new Database(new URL(store.session().typeorm?.url ?? '').pathname);
    file.exec(isOn ? on : off);
    if (isOn) return;
    file.close();
    file = undefined;
  };
}
