import { describe, expect, it } from '@jest/globals';
import { ServerClock } from '../../lib/repositories/mongodb/server-clock.js';

const MINUTE = 60_000;

/** Two clocks that go on only when told to, and the way between them. */
class TwoClocks {
  local = 1_000_000;
  ahead = 0;
  latency = 0;
  questions = 0;
  down = false;

  readonly clock = new ServerClock(
    async () => {
      this.questions++;
      if (this.down) throw new Error('no server');
      this.local += this.latency;
      const answer = this.local + this.ahead;
      this.local += this.latency;
      return answer;
    },
    () => this.local,
  );
}

/** Lets a comparison in the background come to its end. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('The clock of the server', () => {
  it.each([MINUTE, -MINUTE, 24 * 60 * MINUTE])('is %d ms ahead of the one of the process', async (ahead) => {
    const clocks = new TwoClocks();
    clocks.ahead = ahead;
    expect(await clocks.clock.now()).toBe(clocks.local + ahead);
    clocks.local += 1234;
    expect(await clocks.clock.now()).toBe(clocks.local + ahead);
  });

  it('is the same for two processes whose own clocks differ', async () => {
    const [one, other] = [new TwoClocks(), new TwoClocks()];
    other.local += MINUTE;
    other.ahead = -MINUTE;
    expect(await one.clock.now()).toBe(await other.clock.now());
  });

  it('is right whatever the way to the server and back takes', async () => {
    const clocks = new TwoClocks();
    Object.assign(clocks, { ahead: 500, latency: 200 });
    expect(await clocks.clock.now()).toBe(clocks.local + 500);
  });

  it('is asked once, even by many at the same time', async () => {
    const clocks = new TwoClocks();
    await Promise.all(Array.from({ length: 50 }, () => clocks.clock.now()));
    await clocks.clock.now();
    expect(clocks.questions).toBe(1);
  });

  it.each([
    ['after some minutes', (clocks: TwoClocks) => (clocks.local += 6 * MINUTE)],
    ['when the clock of the process was put back', (clocks: TwoClocks) => (clocks.local -= 6 * MINUTE)],
    ['after a reconnect', (clocks: TwoClocks) => clocks.clock.expire()],
  ])('is asked again %s, without anybody waiting for it', async (_when, pass) => {
    const clocks = new TwoClocks();
    await clocks.clock.now();
    pass(clocks);
    clocks.ahead = 3000;
    expect(await clocks.clock.now()).toBe(clocks.local);
    await settle();
    expect(await clocks.clock.now()).toBe(clocks.local + 3000);
    expect(clocks.questions).toBe(2);
  });

  it('cannot be told before the server has answered once, and then is asked anew', async () => {
    const clocks = new TwoClocks();
    Object.assign(clocks, { down: true, ahead: 700 });
    await expect(clocks.clock.now()).rejects.toThrow('no server');
    clocks.down = false;
    expect(await clocks.clock.now()).toBe(clocks.local + 700);
  });

  it('is still known while the server is away, and asked for as soon as it is back', async () => {
    const clocks = new TwoClocks();
    await clocks.clock.now();
    Object.assign(clocks, { down: true, ahead: 900 });
    clocks.clock.expire();
    expect(await clocks.clock.now()).toBe(clocks.local);
    await settle();
    clocks.down = false;
    await clocks.clock.now();
    await settle();
    expect(await clocks.clock.now()).toBe(clocks.local + 900);
  });

  it('is the one of the process where the server does not tell the time', async () => {
    expect(
      await new ServerClock(
        async () => undefined,
        () => 42,
      ).now(),
    ).toBe(42);
  });
});
