import { parseArgs } from 'node:util';
import { isHandle } from '../repositories/session-repository.js';
import { UsageError } from './exit-code.js';

/** An option of a command. */
export interface OptionDefinition {
  readonly description: string;
  /** What stands for its value in the help, as in `<name>`. Without it, the option takes no value. */
  readonly value?: string;
  readonly required?: true;
  /** May be given several times. */
  readonly multiple?: true;
  /** Checks and converts what was typed. @throws UsageError */
  readonly parse?: (text: string) => unknown;
}

export type OptionDefinitions = Readonly<Record<string, OptionDefinition>>;

/** What was typed after the name of a command. */
export interface Arguments {
  /** By the names of the options: true, a converted value, or a list of them. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly handles: readonly string[];
}

/** The shortest id that the options allow, and so the shortest string that may begin with a dash and be a handle. */
const SHORTEST_ID = 22;

/**
 * @param takesHandles whether handles stand beside the options. One in 64 begins with a dash.
 * @throws UsageError for what the command does not understand.
 */
export function parseArguments(args: readonly string[], definitions: OptionDefinitions, takesHandles: boolean): Arguments {
  const isDashedHandle = (arg: string): boolean => takesHandles && arg.startsWith('-') && arg.length >= SHORTEST_ID && isHandle(arg);
  const { tokens } = parseArgs({
    args: args.filter((arg) => !isDashedHandle(arg)),
    options: Object.fromEntries(Object.entries(definitions).map(([name, { value }]) => [name, { type: value ? 'string' : 'boolean' }])),
    // Its own messages know nothing of handles.
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const options: Record<string, unknown> = {};
  const handles = args.filter(isDashedHandle);
  for (const token of tokens) {
    if (token.kind === 'positional') {
      // It may be an id, which must not be repeated.
      if (!takesHandles) throw new UsageError('too many arguments: this command takes options only');
      handles.push(toHandle(token.value));
    } else if (token.kind === 'option') {
      const { name, rawName } = token;
      const definition = Object.hasOwn(definitions, name) ? definitions[name] : undefined;
      if (definition === undefined)
        throw new UsageError(
          takesHandles ? `'${rawName}' is neither a handle, as list shows them, nor an option` : `unknown option '${rawName}'`,
        );
      const value = valueOf(token.value, nameOf(name, definition), definition);
      options[name] = definition.multiple ? [...((options[name] as unknown[] | undefined) ?? []), value] : value;
    }
  }
  if (takesHandles && handles.length === 0) throw new UsageError("missing required argument 'handles'");
  for (const [name, definition] of Object.entries(definitions)) {
    if (definition.required && options[name] === undefined)
      throw new UsageError(`required option '${nameOf(name, definition)}' is missing`);
  }
  return { options, handles };
}

/** An option as the help shows it. */
export function nameOf(name: string, { value }: OptionDefinition): string {
  return value === undefined ? `--${name}` : `--${name} ${value}`;
}

/** @throws UsageError */
export function toHandle(text: string): string {
  if (!isHandle(text)) throw new UsageError(`'${text}' is not a handle, as list shows them`);
  return text;
}

function valueOf(text: string | undefined, shown: string, { value, parse }: OptionDefinition): unknown {
  if (value === undefined) {
    if (text !== undefined) throw new UsageError(`option '${shown}' takes no value`);
    return true;
  }
  if (text === undefined || text === '') throw new UsageError(`option '${shown}' needs a value`);
  return parse === undefined ? text : parse(text);
}
