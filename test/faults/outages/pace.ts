import { Agent, request } from 'node:http';

/** Milliseconds that the application waits before it answers. */
const WAIT = 500;

/** Asks an application again and again for something that takes no store and a certain time: what it takes longer is the machine. */
export class Pace {
  private readonly agent = new Agent({ keepAlive: true });
  private readonly asking: Promise<void>;
  private isOver = false;
  private latest = 0;

  constructor(private readonly url: string) {
    this.asking = this.ask();
  }

  /** Milliseconds by which the machine was late at the most. */
  get lateness(): number {
    return this.latest;
  }

  async stop(): Promise<void> {
    this.isOver = true;
    await this.asking;
    this.agent.destroy();
  }

  private async ask(): Promise<void> {
    while (!this.isOver) {
      const begin = performance.now();
      await this.wait();
      this.latest = Math.max(this.latest, performance.now() - begin - WAIT);
    }
  }

  private wait(): Promise<void> {
    return new Promise((resolve) => {
      const outgoing = request(new URL(`/wait/${WAIT}`, this.url), { agent: this.agent }, (response) => {
        response.resume().once('end', resolve);
      });
      outgoing.once('error', () => resolve()).end();
    });
  }
}
