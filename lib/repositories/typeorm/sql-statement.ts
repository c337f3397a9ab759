/** What can be a parameter. */
export type SqlValue = string | number | Uint8Array | null;

/** A statement, or a piece of one, with its parameters apart; how a database writes placeholders is left open. */
export class Sql {
  constructor(
    private readonly texts: readonly string[],
    readonly values: readonly SqlValue[],
  ) {}

  /** The text, with a placeholder for each value: `placeholder(1)` for the first one. */
  toText(placeholder: (position: number) => string): string {
    return this.texts.reduce((words, next, index) => words + placeholder(index) + next);
  }

  static join(strings: readonly string[], parts: readonly (SqlValue | Sql)[]): Sql {
    const texts = [strings[0] ?? ''];
    const values: SqlValue[] = [];
    const append = (words: string): void => {
      texts[texts.length - 1] += words;
    };
    for (const [index, part] of parts.entries()) {
      if (part instanceof Sql) {
        append(part.texts[0] ?? '');
        texts.push(...part.texts.slice(1));
        values.push(...part.values);
        append(strings[index + 1] ?? '');
      } else {
        values.push(part);
        texts.push(strings[index + 1] ?? '');
      }
    }
    return new Sql(texts, values);
  }
}

/** A statement as a template: values become parameters, pieces of SQL become part of the text. */
export function sql(strings: TemplateStringsArray, ...parts: (SqlValue | Sql)[]): Sql {
  return Sql.join(strings, parts);
}

/** Text of our own making, such as a quoted name; never anything from outside. */
export function text(value: string): Sql {
  return new Sql([value], []);
}
