import { SQL_DATABASE_TYPES } from '../repositories/typeorm/dialects/dialects.js';
import { isTableName, TABLE_RULE } from '../repositories/typeorm/table-name.js';
import { type OptionDefinitions, toHandle } from './arguments.js';
import type { Command } from './commands/command.js';
import { count } from './commands/count.command.js';
import { list, type ListOptions } from './commands/list.command.js';
import { migrateTable, type PrintOptions, printTable } from './commands/migrate-table.command.js';
import { purge } from './commands/purge.command.js';
import { revokeAll, type RevokeAllOptions } from './commands/revoke-all.command.js';
import { revoke } from './commands/revoke.command.js';
import { type ExitCode, UsageError } from './exit-code.js';
import * as help from './help.js';
import type { Output } from './output.js';

/** What a command is run with. */
export interface Runtime {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly output: Output;
  /** Opens the sessions, performs the command on them, and closes them again. */
  perform<T>(command: Command<T>, options: T): Promise<ExitCode>;
}

export interface CommandDefinition {
  readonly summary: string;
  /** The rest of its help: what its result is, exit codes, examples. */
  readonly details: string;
  readonly options: OptionDefinitions;
  readonly takesHandles?: true;
  /** @param options as the definitions of the options say. */
  run(runtime: Runtime, options: object, handles: readonly string[]): Promise<ExitCode>;
}

const PRINCIPAL = { value: '<name>', description: 'only those of this user' };

export const COMMANDS: Readonly<Record<string, CommandDefinition>> = {
  count: {
    summary: 'print how many sessions there are',
    details: help.COUNT,
    options: { principal: PRINCIPAL },
    run: ({ perform }, options) => perform(count, options),
  },
  list: {
    summary: 'show sessions, by their handles',
    details: help.LIST,
    options: {
      principal: PRINCIPAL,
      limit: { value: '<number>', description: 'about how many at once, 1 to 1000 (default: 50)', parse: toLimit },
      cursor: { value: '<cursor>', description: 'go on where another page ended' },
      all: { description: 'all pages' },
      data: { description: 'show what the sessions hold, too' },
    },
    run: ({ perform }, options) => perform(list, options as ListOptions),
  },
  revoke: {
    summary: 'end sessions, at once and for every process',
    details: help.REVOKE,
    options: {},
    takesHandles: true,
    run: ({ perform }, _options, handles) => perform(revoke, { handles }),
  },
  'revoke-all': {
    summary: 'end all sessions of a user',
    details: help.REVOKE_ALL,
    options: {
      principal: { value: '<name>', description: 'whose', required: true },
      except: { value: '<handle>', description: 'leave this one alone (may be given several times)', multiple: true, parse: toHandle },
    },
    run: ({ perform }, options) => perform(revokeAll, options as RevokeAllOptions),
  },
  purge: {
    summary: 'remove expired sessions from stores that do not do so themselves',
    details: help.PURGE,
    options: {},
    run: ({ perform }, options) => perform(purge, options),
  },
  'migrate-table': {
    summary: 'create the table of sessions in a SQL database',
    details: help.MIGRATE_TABLE,
    options: {
      print: { description: 'print the SQL and change nothing' },
      type: { value: '<type>', description: `with --print: for which database (${SQL_DATABASE_TYPES.join(', ')})`, parse: toDatabaseType },
      table: {
        value: '<name>',
        description: 'with --print: the table (default: SESSION_SQLALCHEMY_TABLE, or sessions)',
        parse: toTable,
      },
    },
    run: migrate,
  },
};

async function migrate({ env, output, perform }: Runtime, options: PrintOptions & { readonly print?: true }): Promise<ExitCode> {
  const { print, type, table } = options;
  if (print) {
    const named = table ?? (env['SESSION_SQLALCHEMY_TABLE'] || undefined);
    return printTable(output, { type, table: named }, env['SESSION_SQLALCHEMY'] ?? env['SQLALCHEMY_DATABASE_URI']);
  }
  if (type !== undefined || table !== undefined)
    throw new UsageError('--type and --table go with --print; else the options of the store say which database and table');
  return perform(migrateTable, options);
}

function toLimit(text: string): number {
  const limit = Number(text);
  if (!/^\d+$/.test(text) || limit < 1 || limit > 1000) throw new UsageError('option --limit: give a number from 1 to 1000');
  return limit;
}

function toDatabaseType(text: string): string {
  const types: readonly string[] = SQL_DATABASE_TYPES;
  if (!types.includes(text)) throw new UsageError(`option --type: Allowed choices are ${types.join(', ')}`);
  return text;
}

function toTable(text: string): string {
  if (!isTableName(text)) throw new UsageError(`option --table: Give ${TABLE_RULE}`);
  return text;
}
