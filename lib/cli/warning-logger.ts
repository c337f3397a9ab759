import type { LoggerService } from '@nestjs/common';

/**
 * Passes on what the module warns of, once each: a wrong key or serializer would otherwise look like an empty store. Errors are
 * left out, because the command ends with them anyway, and so is everything that the application says.
 */
export class WarningLogger implements LoggerService {
  private readonly passedOn = new Set<string>();

  constructor(private readonly remark: (text: string) => void) {}

  log(): void {}
  error(): void {}

  warn(message: unknown, context?: unknown): void {
    if (typeof message !== 'string' || context !== 'ServerSession' || this.passedOn.has(message)) return;
    this.passedOn.add(message);
    this.remark(message);
  }
}
