import type { Writable } from 'node:stream';
import { reasonOf, SessionOptionsError } from '../errors.js';
import { nameOf, type OptionDefinitions, parseArguments } from './arguments.js';
import { type CommandDefinition, COMMANDS, type Runtime } from './commands.js';
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

const PROGRAM = 'nestjs-server-session';
const HELP = ['-h', '--help'];

/** Options that every command has. */
const COMMON: OptionDefinitions = {
  module: { value: '<file>', description: 'compiled file of a Nest module that imports ServerSessionModule, instead of the environment' },
  json: { description: 'print JSON' },
};

/** Runs one command to its end. */
export async function runCommandLine(surroundings: Surroundings): Promise<ExitCode> {
  const { args, stdout, stderr, version } = surroundings;
  const say = new Output(stderr, stderr, false);
  const [name, ...rest] = args;
  if (name === undefined) {
    stderr.write(helpOfProgram());
    return ExitCode.usage;
  }
  const definition = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (HELP.some((option) => name === option || rest.includes(option))) {
    stdout.write(definition === undefined ? helpOfProgram() : helpOf(name, definition));
    return ExitCode.ok;
  }
  if (name === '--version') {
    stdout.write(`${version}\n`);
    return ExitCode.ok;
  }
  try {
    if (definition === undefined) throw new UsageError(`unknown ${name.startsWith('-') ? 'option' : 'command'} '${name}'`);
    return await run(definition, rest, surroundings);
  } catch (error) {
    const isUsage = error instanceof UsageError;
    say.remark(isUsage ? `error: ${error.message}\n(--help says more)` : messageOf(error));
    return isUsage || error instanceof SessionOptionsError ? ExitCode.usage : ExitCode.failed;
  }
}

function run(definition: CommandDefinition, args: readonly string[], { env, cwd, stdout, stderr }: Surroundings): Promise<ExitCode> {
  const { options, handles } = parseArguments(args, { ...COMMON, ...definition.options }, definition.takesHandles === true);
  const { module, json, ...own } = options as { readonly module?: string; readonly json?: true };
  const output = new Output(stdout, stderr, json === true);
  const source = { module, env, cwd, warn: (text: string) => output.remark(text) };
  const progress = new Progress(stderr);
  const runtime: Runtime = {
    env,
    output,
    perform: (command, given) => withSessionStore(source, (store) => command({ ...store, output, progress }, given)),
  };
  return definition.run(runtime, own, handles);
}

function helpOfProgram(): string {
  const commands = Object.entries(COMMANDS).map(([name, { summary }]): [string, string] => [name, summary]);
  const options: [string, string][] = [
    ['-h, --help', 'print this help, or that of a command'],
    ['--version', 'print the version'],
  ];
  return [
    `Usage: ${PROGRAM} <command> [options]`,
    help.DESCRIPTION,
    `Commands:\n${table(commands)}`,
    `Options:\n${table(options)}`,
    `${help.AFTER.trim()}\n`,
  ].join('\n\n');
}

function helpOf(name: string, { summary, details, options, takesHandles }: CommandDefinition): string {
  const shown = Object.entries({ ...options, ...COMMON }).map(([option, one]): [string, string] => [nameOf(option, one), one.description]);
  return [
    `Usage: ${PROGRAM} ${name} [options]${takesHandles ? ' <handles...>' : ''}`,
    summary,
    `Options:\n${table([...shown, ['-h, --help', 'print this help']])}`,
    `${details.trim()}\n`,
  ].join('\n\n');
}

function table(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, description]) => `  ${name.padEnd(width)}  ${description}`).join('\n');
}

/** The messages of our own errors stand as they are: they have several lines, and nothing secret. */
function messageOf(error: unknown): string {
  return error instanceof Error && error.message.startsWith('[ServerSession]') ? error.message : reasonOf(error);
}
