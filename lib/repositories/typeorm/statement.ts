import type { SqlValue } from './dialects/dialect.js';

/** The parameters that statements have. Drivers want them by position, and each has its own way to write that. */
const PARAMETERS = ['id', 'version', 'base', 'payload', 'principal', 'ttl', 'after', 'end', 'from'] as const;

type ParameterName = (typeof PARAMETERS)[number];
export type StatementValues = { readonly [name in ParameterName]?: SqlValue };

/** What is used of TypeORM's query builders to write a statement. */
interface Builder {
  setParameters(parameters: Record<string, unknown>): Builder;
  getQueryAndParameters(): [text: string, parameters: unknown[]];
}

/** Stands for a parameter while TypeORM writes the statement. */
class Placeholder {
  constructor(readonly parameter: ParameterName) {}
}

const PLACEHOLDERS = Object.fromEntries(PARAMETERS.map((name) => [name, new Placeholder(name)]));

/**
 * A statement that TypeORM has written once, to be run with other values each time: a query builder takes longer than many a
 * database.
 */
export class Statement {
  private constructor(
    readonly text: string,
    private readonly parameters: readonly unknown[] = [],
  ) {}

  /** @param suffix what the query builder cannot write. */
  static from(builder: Builder, suffix = ''): Statement {
    const [text, parameters] = builder.setParameters(PLACEHOLDERS).getQueryAndParameters();
    return new Statement(text + suffix, parameters);
  }

  /** A statement without parameters. */
  static of(text: string): Statement {
    return new Statement(text);
  }

  /** The parameters in the order of the driver. */
  bind(values: StatementValues): SqlValue[] {
    return this.parameters.map((parameter) => toDriverValue(parameter instanceof Placeholder ? values[parameter.parameter] : parameter));
  }
}

function toDriverValue(value: unknown): SqlValue {
  // Drivers know Buffers, and some of them nothing else for bytes.
  if (value instanceof Uint8Array && !Buffer.isBuffer(value)) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  return (value ?? null) as SqlValue;
}
