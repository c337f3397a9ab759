import { Logger } from '@nestjs/common';

const PREFIX = '[ServerSession] ';

/** The logger's name stands for the prefix that the messages of our errors have, so that a line has it once. */
export class SessionLogger extends Logger {
  private readonly told = new Set<string>();

  constructor() {
    super('ServerSession');
  }

  override log(message: string): void {
    super.log(withoutPrefix(message));
  }

  override warn(message: string): void {
    super.warn(withoutPrefix(message));
  }

  /** @param stack of the error, where it says more than the message. */
  override error(message: string, stack?: string): void {
    if (stack === undefined) super.error(withoutPrefix(message));
    else super.error(withoutPrefix(message), stack);
  }

  /** Logs the first message about a subject, and no later one. */
  once(level: 'log' | 'warn' | 'error', subject: string, message: string): void {
    if (this.told.has(subject)) return;
    this.told.add(subject);
    this[level](message);
  }
}

function withoutPrefix(message: string): string {
  return message.replace(PREFIX, '');
}
