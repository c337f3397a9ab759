import { Command as Program, CommanderError, InvalidArgumentError, Option } from 'commander';
import type { Writable } from 'node:stream';
import { reasonOf, SessionOptionsError } from '../errors.js';
import { SQL_DATABASE_TYPES } from '../repositories/typeorm/dialects/dialects.js';
import { isTableName, TABLE_RULE } from '../repositories/typeorm/table-name.js';
import { isHandle } from '../repositories/session-repository.js';
import type { Command } from './commands/command.js';
import { count } from './commands/count.command.js';
import { list } from './commands/list.command.js';
import { migrateTable, type PrintOptions, printTable } from './commands/migrate-table.command.js';
import { purge } from './commands/purge.command.js';
import { revokeAll } from './commands/revoke-all.command.js';
import { revoke } from './commands/revoke.command.js';
import { ExitCode, UsageError } from './exit-code.js';
import * as help from './help.js';
import { Output } from './output.js';
import { Progress } from './progress.js';
import { withSessionStore } from './session-store.js';

/** What the command line is given by the process that it runs in. */
export interface Surroundings {
  /** What was typed after the name of the program. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly stdout: Writable;
  readonly stderr: Writable & { readonly isTTY?: boolean };
  readonly version: string;
}

/** The shortest id that the options allow, and so the shortest text that may begin with a dash and be a handle. */
const SHORTEST_ID = 22;

/** Options that every command has. */
interface Common {
  readonly json?: true;
  readonly module?: string;
}

/** Runs one command to its end. */
export async function runCommandLine(surroundings: Surroundings): Promise<ExitCode> {
  const { stderr } = surroundings;
  const say = new Output(stderr, stderr, false);
  let code: ExitCode = ExitCode.ok;
  try {
    await createProgram(surroundings, (result) => (code = result)).parseAsync(surroundings.args, { from: 'user' });
    return code;
  } catch (error) {
    // It has said what is wrong, or shown the help.
    if (error instanceof CommanderError) return error.exitCode === 0 ? ExitCode.ok : ExitCode.usage;
    // The faults of options are a list.
    if (error instanceof SessionOptionsError) say.remark(error.message);
    else say.remark(error instanceof UsageError ? `error: ${error.message}` : reasonOf(error));
    return error instanceof UsageError || error instanceof SessionOptionsError ? ExitCode.usage : ExitCode.failed;
  }
}

function createProgram({ env, cwd, stdout, stderr, version }: Surroundings, onDone: (code: ExitCode) => void): Program {
  const program = new Program('nestjs-server-session')
    .description(help.DESCRIPTION)
    .version(version, '--version', 'print the version')
    .helpOption('-h, --help', 'print this help, or that of a command')
    .exitOverride()
    .configureOutput({ writeOut: (text) => stdout.write(text), writeErr: (text) => stderr.write(text) })
    .showHelpAfterError('(--help says more)')
    .addHelpText('after', help.AFTER);

  const outputOf = ({ json }: Common): Output => new Output(stdout, stderr, json === true);
  const perform = async <T>(command: Command<T>, options: T & Common): Promise<void> => {
    const output = outputOf(options);
    const source = { module: options.module, env, cwd, warn: (text: string) => output.remark(text) };
    const progress = new Progress(stderr);
    onDone(await withSessionStore(source, (store) => command({ ...store, output, progress }, options)));
  };
  const define = (name: string, summary: string, after: string): Program =>
    program
      .command(name)
      .description(summary)
      .option('--module <file>', 'compiled file of a Nest module that imports ServerSessionModule, instead of the environment')
      .option('--json', 'print JSON')
      .addHelpText('after', after);

  define('count', 'print how many sessions there are', help.COUNT)
    .option('--principal <name>', 'only those of this user')
    .action((options: Common & Parameters<typeof count>[1]) => perform(count, options));

  define('list', 'show sessions, by their handles', help.LIST)
    .option('--principal <name>', 'only those of this user')
    .option('--limit <number>', 'about how many at once, 1 to 1000 (default: 50)', toLimit)
    .option('--cursor <cursor>', 'go on where another page ended')
    .option('--all', 'all pages')
    .option('--data', 'show what the sessions hold, too')
    .action((options: Common & Parameters<typeof list>[1]) => perform(list, options));

  define('revoke', 'end sessions, at once and for every process', help.REVOKE)
    .argument('<handles...>', 'as list shows them')
    // One handle in 64 begins with a dash.
    .allowUnknownOption()
    .action((handles: string[], options: Common) => perform(revoke, { ...options, handles: handles.map(toHandle) }));

  define('revoke-all', 'end all sessions of a user', help.REVOKE_ALL)
    .requiredOption('--principal <name>', 'whose')
    .option('--except <handle>', 'leave this one alone (may be given several times)', addHandle)
    .action((options: Common & Parameters<typeof revokeAll>[1]) => perform(revokeAll, options));

  define('purge', 'remove expired sessions from stores that do not do so themselves', help.PURGE).action((options: Common) =>
    perform(purge, options),
  );

  define('migrate-table', 'create the table of sessions in a SQL database', help.MIGRATE_TABLE)
    .option('--print', 'print the SQL and change nothing')
    .addOption(new Option('--type <type>', 'with --print: for which database').choices(SQL_DATABASE_TYPES))
    .option('--table <name>', 'with --print: the table (default: SESSION_SQLALCHEMY_TABLE, or sessions)', toTable)
    .action(async (options: Common & PrintOptions & { readonly print?: true }) => {
      const { type, table = env['SESSION_SQLALCHEMY_TABLE'] || undefined } = options;
      if (options.print) {
        onDone(await printTable(outputOf(options), { type, table }, env['SESSION_SQLALCHEMY'] ?? env['SQLALCHEMY_DATABASE_URI']));
      } else if (type !== undefined || options.table !== undefined) {
        throw new UsageError('--type and --table go with --print; else the options of the store say which database and table');
      } else await perform(migrateTable, options);
    });
  return program;
}

function toLimit(text: string): number {
  const limit = Number(text);
  if (!/^\d+$/.test(text) || limit < 1 || limit > 1000) throw new InvalidArgumentError('Give a number from 1 to 1000.');
  return limit;
}

function toTable(text: string): string {
  if (!isTableName(text)) throw new InvalidArgumentError(`Give ${TABLE_RULE}.`);
  return text;
}

function addHandle(text: string, former: readonly string[] = []): readonly string[] {
  return [...former, toHandle(text)];
}

/** @throws UsageError also for what is rather a misspelt option. */
function toHandle(text: string): string {
  if (!isHandle(text) || (text.startsWith('-') && text.length < SHORTEST_ID))
    throw new UsageError(`'${text}' is neither a handle, as list shows them, nor an option`);
  return text;
}
