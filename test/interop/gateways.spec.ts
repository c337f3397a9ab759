import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  type CanActivate,
  Controller,
  type ExecutionContext,
  Get,
  type INestApplication,
  Injectable,
  Module,
  Param,
  Post,
  UseGuards,
} from '@nestjs/common';
import { type AbstractHttpAdapter, NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { IoAdapter } from '@nestjs/platform-socket.io';
import { WsAdapter } from '@nestjs/platform-ws';
import { MessageBody, type OnGatewayConnection, SubscribeMessage, WebSocketGateway, WebSocketServer } from '@nestjs/websockets';
import { io, type Socket as IoSocket } from 'socket.io-client';
import { WebSocket } from 'ws';
import { OnSessionEvent, type ServerSession, ServerSessionModule, Session, type SessionEvent, SessionService } from 'nestjs-server-session';
import { Browser } from '../e2e/browser.js';
import { RecordingRepository } from '../e2e/recording.repository.js';
import { eventually } from '../support/eventually.js';

@Injectable()
class SignedIn implements CanActivate {
  constructor(private readonly sessions: SessionService) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    return (await this.sessions.load(context)).principal !== undefined;
  }
}

interface Client {
  disconnect?(): void;
  terminate?(): void;
}

@WebSocketGateway()
class ChatGateway implements OnGatewayConnection {
  @WebSocketServer() readonly server: unknown;
  readonly connected: (string | undefined)[] = [];
  private readonly clients = new Map<string, Set<Client>>();

  constructor(private readonly sessions: SessionService) {}

  async handleConnection(client: Client, request?: object): Promise<void> {
    // A client of ws has no request: Nest hands it over as the second argument.
    const { principal } = await this.sessions.load(request ?? client);
    this.connected.push(principal);
    if (principal === undefined) return;
    const clients = this.clients.get(principal) ?? new Set();
    this.clients.set(principal, clients.add(client));
  }

  /** The recipe: a user who is signed out loses the sockets. */
  @OnSessionEvent('destroyed', 'revoked')
  disconnect({ principal }: SessionEvent): void {
    for (const client of this.clients.get(principal ?? '') ?? []) (client.disconnect?.bind(client) ?? client.terminate?.bind(client))?.();
  }

  @SubscribeMessage('say') say(@Session() session: ServerSession, @MessageBody() text: string): unknown {
    session.set('said', [...session.get<string[]>('said', []), text]);
    return { event: 'said', data: session.get('said') };
  }

  @SubscribeMessage('who') who(@Session() session: ServerSession): unknown {
    return { event: 'who', data: { principal: session.principal ?? null, said: session.get('said', []) } };
  }

  @UseGuards(SignedIn)
  @SubscribeMessage('secret')
  secret(): unknown {
    return { event: 'secret', data: 42 };
  }

  @SubscribeMessage('begin') begin(@Session() session: ServerSession): unknown {
    try {
      session.set('begun', true);
      return { event: 'begin', data: 'begun' };
    } catch (error) {
      return { event: 'begin', data: (error as Error).name };
    }
  }
}

@Controller()
class LoginController {
  @Post('login/:user') logIn(@Session() session: ServerSession, @Param('user') user: string): string {
    session.principal = user;
    return 'welcome';
  }

  @Post('logout') async logOut(@Session() session: ServerSession): Promise<string> {
    await session.destroy();
    return 'bye';
  }

  @Get('said') said(@Session('said') said: string[] = []): string[] {
    return said;
  }
}

/** A client of either protocol. */
interface Talker {
  /** The answer to a message; undefined where none comes. */
  ask(event: string, data?: unknown): Promise<unknown>;
  readonly isOpen: boolean;
  close(): void;
}

const within = <T>(promise: Promise<T>, milliseconds = 400): Promise<T | undefined> =>
  Promise.race([promise, new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), milliseconds))]);

async function socketIo(url: string, cookie: string): Promise<Talker> {
  const socket: IoSocket = io(url, { extraHeaders: { cookie }, transports: ['websocket'], reconnection: false });
  await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('connect_error', reject));
  return {
    ask: (event, data) => within(new Promise((resolve) => socket.once(event === 'say' ? 'said' : event, resolve).emit(event, data))),
    get isOpen() {
      return socket.connected;
    },
    close: () => socket.close(),
  };
}

async function plainWs(url: string, cookie: string): Promise<Talker> {
  const socket = new WebSocket(url.replace('http', 'ws'), { headers: { cookie } });
  await new Promise<void>((resolve, reject) => socket.once('open', resolve).once('error', reject));
  return {
    ask: (event, data) =>
      within(
        new Promise((resolve) => {
          const wanted = event === 'say' ? 'said' : event;
          socket.on('message', (bytes: Buffer) => {
            const message = JSON.parse(bytes.toString()) as { event: string; data: unknown };
            if (message.event === wanted) resolve(message.data);
          });
          socket.send(JSON.stringify({ event, data }));
        }),
      ),
    get isOpen() {
      return socket.readyState === WebSocket.OPEN;
    },
    close: () => socket.terminate(),
  };
}

const PROTOCOLS = { 'socket.io': { Adapter: IoAdapter, connect: socketIo }, ws: { Adapter: WsAdapter, connect: plainWs } };
const SERVERS: Record<string, () => AbstractHttpAdapter> = { Express: () => new ExpressAdapter(), Fastify: () => new FastifyAdapter() };
const ALL = Object.keys(PROTOCOLS).flatMap((protocol) =>
  Object.keys(SERVERS).map((server) => [protocol as keyof typeof PROTOCOLS, server] as const),
);

describe.each(ALL)('A gateway of %s on %s', (protocol, server) => {
  const { Adapter, connect } = PROTOCOLS[protocol];
  const repository = new RecordingRepository();
  let app: INestApplication;
  let browser: Browser;
  let talkers: Talker[];

  beforeEach(async () => {
    @Module({
      imports: [ServerSessionModule.forRoot({ repository })],
      controllers: [LoginController],
      providers: [ChatGateway, SignedIn],
    })
    class AppModule {}
    app = await NestFactory.create(AppModule, SERVERS[server]!(), { logger: false });
    app.useWebSocketAdapter(new Adapter(app));
    await app.listen(0, '127.0.0.1');
    browser = new Browser(await app.getUrl());
    talkers = [];
  });
  afterEach(async () => {
    for (const talker of talkers) talker.close();
    await app.close();
  });

  const open = async (cookie = browser.cookieHeader): Promise<Talker> => {
    const talker = await connect(browser.url, cookie);
    talkers.push(talker);
    return talker;
  };

  it('reads the session anew for each message, and saves what the handler changed', async () => {
    await browser.post('login/ada');
    const talker = await open();
    repository.calls = [];
    expect(await talker.ask('say', 'hello')).toEqual(['hello']);
    expect(repository.calls).toEqual(['read', 'update']);
    expect((await browser.get('said')).json).toEqual(['hello']);
    expect(await talker.ask('say', 'again')).toEqual(['hello', 'again']);
    expect(await talker.ask('who')).toEqual({ principal: 'ada', said: ['hello', 'again'] });
  });

  it('knows the session in handleConnection and in guards', async () => {
    await browser.post('login/ada');
    const talker = await open();
    await eventually(async () => expect(app.get(ChatGateway).connected).toEqual(['ada']));
    expect(await talker.ask('secret')).toBe(42);
    const stranger = await open('');
    await eventually(async () => expect(app.get(ChatGateway).connected).toEqual(['ada', undefined]));
    expect(await stranger.ask('secret')).toBeUndefined();
  });

  it('finds no session with the next message once the user has signed out over HTTP, and can begin none', async () => {
    await browser.post('login/ada');
    const { cookieHeader } = browser;
    app.get(ChatGateway).disconnect = () => undefined;
    const talker = await open(cookieHeader);
    expect(await talker.ask('secret')).toBe(42);
    await browser.post('logout');
    expect(talker.isOpen).toBe(true);
    expect(await talker.ask('who')).toEqual({ principal: null, said: [] });
    expect(await talker.ask('secret')).toBeUndefined();
    expect(await talker.ask('begin')).toBe('SessionHeadersSentError');
  });

  it('loses its sockets where the application wants it so on the event of a log-out', async () => {
    await browser.post('login/ada');
    const talker = await open();
    await eventually(async () => expect(app.get(ChatGateway).connected).toHaveLength(1));
    await browser.post('logout');
    await eventually(async () => expect(talker.isOpen).toBe(false));
  });

  it('takes garbage in the cookie for no session, and asks no store', async () => {
    repository.calls = [];
    const talker = await open('session=%00%; session="; session=../../etc');
    expect(await talker.ask('who')).toEqual({ principal: null, said: [] });
    expect(repository.calls).toEqual([]);
  });
});
