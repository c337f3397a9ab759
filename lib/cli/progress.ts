import type { Writable } from 'node:stream';

/** Milliseconds between two lines where nobody is watching, such as in the log of a job; on a terminal one line is rewritten. */
const TERMINAL_PAUSE = 100;
const LOG_PAUSE = 5_000;

/** Says how far long work has come, while it runs. Short work says nothing. */
export class Progress {
  private timer: NodeJS.Timeout | undefined;
  private isShown = false;

  constructor(
    private readonly stream: Writable & { readonly isTTY?: boolean },
    private readonly logPause = LOG_PAUSE,
  ) {}

  /** @param describe what to say at that moment. */
  async during<T>(describe: () => string, work: () => Promise<T>): Promise<T> {
    this.timer = setInterval(() => this.show(describe()), this.stream.isTTY === true ? TERMINAL_PAUSE : this.logPause);
    try {
      return await work();
    } finally {
      clearInterval(this.timer);
      if (this.isShown && this.stream.isTTY === true) this.stream.write('\r\u001b[K');
    }
  }

  private show(text: string): void {
    this.isShown = true;
    this.stream.write(this.stream.isTTY === true ? `\r\u001b[K${text}` : `${text}\n`);
  }
}
