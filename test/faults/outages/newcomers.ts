import { Agent, request } from 'node:http';

/** Of what each of them writes. */
const BYTES = 4_096;
/** A request that takes longer hangs. */
const PATIENCE = 20_000;
/** Of them under way at the same time. More would only tell how fast the machine accepts connections. */
const MOST = 60;
/** Handles that are asked for in one request. */
const AT_ONCE = 500;

/** Visitors without a session who come at a steady rate, wait for nobody before them, and each begin a session. */
export class Newcomers {
  /** Handles of the sessions that the application refused to begin. */
  private readonly refused: string[] = [];
  private readonly underWay = new Set<Promise<void>>();
  private readonly agent = new Agent({ keepAlive: true });
  private readonly timer: NodeJS.Timeout;

  constructor(
    private readonly url: string,
    rate: number,
  ) {
    const start = performance.now();
    let sent = 0;
    this.timer = setInterval(() => {
      for (const due = ((performance.now() - start) * rate) / 1_000; sent < due; sent++) {
        if (this.underWay.size >= MOST) continue;
        const visit = this.visit().finally(() => this.underWay.delete(visit));
        this.underWay.add(visit);
      }
    }, 20);
  }

  /** Lets no more of them come, and waits until all have their answers. */
  async stop(): Promise<void> {
    clearInterval(this.timer);
    await Promise.all(this.underWay);
  }

  /** What became of those who were refused. */
  async audit(): Promise<{ refused: number; storedAfterwards: number }> {
    let storedAfterwards = 0;
    for (let from = 0; from < this.refused.length; from += AT_ONCE) {
      const { text } = await this.send('/stored', JSON.stringify(this.refused.slice(from, from + AT_ONCE)));
      storedAfterwards += Number(text);
    }
    this.agent.destroy();
    return { refused: this.refused.length, storedAfterwards };
  }

  private async visit(): Promise<void> {
    const { status, handle } = await this.send(`/begin/${BYTES}`);
    if (status === 503 && handle !== undefined) this.refused.push(handle);
  }

  private send(path: string, body = ''): Promise<{ status: number; text: string; handle: string | undefined }> {
    return new Promise((resolve) => {
      const broken = (): void => resolve({ status: 0, text: '', handle: undefined });
      const headers = { 'content-type': 'application/json', 'content-length': String(body.length) };
      const outgoing = request(new URL(path, this.url), { method: 'POST', agent: this.agent, headers, timeout: PATIENCE }, (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => (text += chunk));
        response.on('error', broken);
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text, handle: String(response.headers['x-handle']) }));
      });
      outgoing.on('timeout', () => outgoing.destroy(new Error('no answer')));
      outgoing.on('error', broken);
      outgoing.end(body);
    });
  }
}
