import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { Redis } from 'ioredis';
import { startRedis, TcpProxy, type TestServer } from './index.js';

interface Conversation {
  readonly received: string;
  readonly error: string | undefined;
}

describe('TcpProxy', () => {
  let echo: Server;
  let proxy: TcpProxy;
  const sockets: Socket[] = [];

  beforeAll(async () => {
    echo = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.pipe(socket);
    }).listen(0, '127.0.0.1');
    await once(echo, 'listening');
  });
  afterAll(() => {
    echo.close();
  });
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    await proxy.stop();
  });

  async function open(): Promise<{ socket: Socket; so: Conversation }> {
    const socket = connect(proxy.port, '127.0.0.1');
    const so = { received: '', error: undefined as string | undefined };
    socket.on('data', (data) => (so.received += data.toString()));
    socket.on('error', (error: NodeJS.ErrnoException) => (so.error = error.code));
    sockets.push(socket);
    await once(socket, 'connect');
    return { socket, so };
  }

  async function startProxy(): Promise<void> {
    const address = echo.address();
    proxy = await TcpProxy.start(() => (typeof address === 'object' ? (address?.port ?? 0) : 0));
  }

  /** Unlike `once` it does not reject when the connection ends with an error. */
  const closed = (socket: Socket) => new Promise<void>((resolve) => socket.once('close', () => resolve()));
  const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

  it('passes everything on and counts its connections', async () => {
    await startProxy();
    const { socket, so } = await open();
    const text = 'x'.repeat(3_000_000);
    socket.write(text);
    while (so.received.length < text.length) await wait(5);
    expect(so.received).toBe(text);
    expect(proxy.connections).toBe(1);
    socket.end();
    await closed(socket);
    while (proxy.connections > 0) await wait(5);
  });

  it('delays each direction and keeps the order', async () => {
    await startProxy();
    const { socket, so } = await open();
    proxy.delay(80);
    const start = performance.now();
    socket.write('a');
    await wait(10);
    proxy.delay(60);
    socket.write('b');
    while (so.received.length < 2) await wait(2);
    expect(so.received).toBe('ab');
    expect(performance.now() - start).toBeGreaterThan(130);
  });

  it('swallows, and resets on healing what has lost bytes', async () => {
    await startProxy();
    const { socket, so } = await open();
    const idle = await open();
    proxy.drop();
    socket.write('lost');
    const late = await open();
    await wait(50);
    expect([so.received, so.error, late.so.error]).toEqual(['', undefined, undefined]);
    await proxy.heal();
    await wait(20);
    expect([so.error, late.so.error]).toEqual(['ECONNRESET', 'ECONNRESET']);
    idle.socket.write('fine');
    while (idle.so.received !== 'fine') await wait(2);
  });

  it('forgets the connections that are open, and neither side hears of it', async () => {
    await startProxy();
    const { socket, so } = await open();
    proxy.forget();
    socket.write('lost');
    const next = await open();
    next.socket.write('fine');
    while (next.so.received !== 'fine') await wait(2);
    await wait(50);
    expect(so).toEqual({ received: '', error: undefined });
  });

  it('cuts in the middle of a reply, once', async () => {
    await startProxy();
    const { socket, so } = await open();
    proxy.cutAfterBytes(4);
    socket.write('abcdefgh');
    await closed(socket);
    expect(so).toEqual({ received: 'abcd', error: 'ECONNRESET' });
    const next = await open();
    next.socket.write('abcdefgh');
    while (next.so.received !== 'abcdefgh') await wait(2);
  });

  it('cuts, refuses and accepts again on the same port', async () => {
    await startProxy();
    const first = await open();
    const { port } = proxy;
    await proxy.refuse();
    await expect(open()).rejects.toThrow('ECONNREFUSED');
    first.socket.write('still open');
    while (first.so.received === '') await wait(2);
    proxy.cut();
    await closed(first.socket);
    expect(first.so.error).toBe('ECONNRESET');
    await proxy.accept();
    expect(proxy.port).toBe(port);
    await open();
  });

  describe('before a real Redis', () => {
    let server: TestServer;

    beforeAll(async () => {
      server = await startRedis();
    }, 60_000);
    afterAll(() => server?.stop());

    it('delays commands, and the client survives a cut', async () => {
      proxy = await TcpProxy.start(server);
      const client = new Redis(proxy.port, proxy.host, { retryStrategy: () => 10 });
      client.on('error', () => undefined);
      await client.set('key', 'value');
      proxy.delay(50);
      const start = performance.now();
      expect(await client.get('key')).toBe('value');
      expect(performance.now() - start).toBeGreaterThan(95);
      await proxy.heal();
      proxy.cut();
      expect(await client.get('key')).toBe('value');
      client.disconnect();
    });
  });
});
