import type { Redis } from 'ioredis';
import { endOfTurn } from '../../common/end-of-turn.js';
import type { RedisClient } from './redis-session.repository.js';

type Stream = Redis['stream'];

/** Commands that leave together at the most: the first of them is not to wait for long while later requests are looked at. */
const LARGEST = 16;

/**
 * Lets the commands of one turn of the event loop leave together. Each write to a socket is a system call that wakes the server up;
 * requests that arrive together ask together, so on a busy process most commands share one. A lone command waits for no more than
 * the callbacks that are due anyway.
 *
 * The client's own auto-pipelining does the same for more: it makes a pipeline and two promises for every command.
 */
export class CommandBatch {
  private streams: readonly Stream[] | undefined;
  private size = 0;

  constructor(private readonly client: RedisClient) {}

  /** To be called before a command is given to the client. */
  open(): void {
    if (this.size === LARGEST) this.send();
    this.size++;
    if (this.streams !== undefined) return;
    const nodes = 'nodes' in this.client ? this.client.nodes() : [this.client];
    // A node of a cluster that was not needed yet has no stream.
    const streams = nodes.map(({ stream }) => stream as Stream | undefined).filter((stream) => stream !== undefined);
    for (const stream of streams) stream.cork();
    this.streams = streams;
    void endOfTurn().then(() => {
      if (this.streams === streams) this.send();
    });
  }

  private send(): void {
    const streams = this.streams ?? [];
    this.streams = undefined;
    this.size = 0;
    for (const stream of streams) stream.uncork();
  }
}
