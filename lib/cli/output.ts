import type { Writable } from 'node:stream';

/** Characters that a terminal obeys or does not show: controls, and marks that change the direction of the text. */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** Where a command writes: results to one stream, everything that is said about them to the other. */
export class Output {
  constructor(
    private readonly results: Writable,
    private readonly remarks: Writable,
    readonly asJson: boolean,
  ) {}

  /** One line of the result, waiting for a reader that is slower. */
  async line(text: string): Promise<void> {
    if (!this.results.write(`${harmless(text)}\n`)) await new Promise((resolve) => this.results.once('drain', resolve));
  }

  /** The result in both forms; the one that was asked for is written. */
  async result(json: unknown, text: string): Promise<void> {
    await this.line(this.asJson ? JSON.stringify(json) : text);
  }

  /** Something to know that is no result. */
  remark(text: string): void {
    this.remarks.write(`${text.split('\n').map(harmless).join('\n')}\n`);
  }
}

/**
 * Escapes what a terminal would obey: principals, devices and data come from the network. The escapes are those of JSON, so a
 * line of JSON still says the same.
 */
export function harmless(text: string): string {
  return text.replace(UNSAFE, (characters) =>
    Array.from({ length: characters.length }, (_, at) => `\\u${characters.charCodeAt(at).toString(16).padStart(4, '0')}`).join(''),
  );
}
