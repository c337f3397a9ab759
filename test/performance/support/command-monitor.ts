import { Redis } from 'ioredis';

/**
 * The commands that a Redis got from its clients, as the server itself tells (`MONITOR`). What scripts call inside has `lua` as its
 * client there and is left out: it costs no round trip.
 */
export class CommandMonitor {
  private seen: string[] = [];

  private constructor(
    private readonly client: Redis,
    private readonly monitor: Redis,
  ) {}

  /** @param prefix of the keys that count; others may use the same server. */
  static async start(url: string, prefix: string): Promise<CommandMonitor> {
    const client = new Redis(url);
    const watching = new CommandMonitor(client, await client.monitor());
    watching.monitor.on('monitor', (_time: string, [name = '', ...args]: string[], source: string) => {
      if (source === 'lua') return;
      if (args.some((argument) => argument.includes(prefix))) watching.seen.push(name.toLowerCase());
    });
    return watching;
  }

  /** What was sent since the last call, in its order. */
  async taken(): Promise<string[]> {
    // Once the server has told of this one, it has told of everything before.
    const marker = `end of the commands ${performance.now()}`;
    await new Promise<void>((resolve) => {
      const onCommand = (_time: string, args: string[]): void => {
        if (!args.includes(marker)) return;
        this.monitor.off('monitor', onCommand);
        resolve();
      };
      this.monitor.on('monitor', onCommand);
      void this.client.echo(marker);
    });
    return this.seen.splice(0);
  }

  stop(): void {
    this.monitor.disconnect();
    this.client.disconnect();
  }
}
