import { setTimeout as sleep } from 'node:timers/promises';
import type { ApplicationProcess } from '../support/application-process.js';

/** From one look to the next, in milliseconds: each collects all garbage, during which the application does nothing else. */
const INTERVAL = 3_000;

/** How much memory an application takes while something goes on, after collecting its garbage. */
export class MemoryWatch {
  private isOver = false;
  private readonly watching: Promise<number>;

  constructor(private readonly application: ApplicationProcess) {
    this.watching = this.watch();
  }

  /** @returns by how many bytes it grew at the most. */
  stop(): Promise<number> {
    this.isOver = true;
    return this.watching;
  }

  private async watch(): Promise<number> {
    const before = await this.application.resources();
    let most = before.totalBytes;
    while (!this.isOver) {
      await sleep(INTERVAL);
      most = Math.max(most, (await this.application.resources()).totalBytes);
    }
    return most - before.totalBytes;
  }
}
