import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { ApolloDriver, type ApolloDriverConfig } from '@nestjs/apollo';
import { type CanActivate, type DynamicModule, type ExecutionContext, Injectable, Module, UseGuards } from '@nestjs/common';
import { type AbstractHttpAdapter, NestFactory } from '@nestjs/core';
import { Args, GraphQLModule, Mutation, Parent, Query, ResolveField, Resolver, Subscription } from '@nestjs/graphql';
import { MercuriusDriver, type MercuriusDriverConfig } from '@nestjs/mercurius';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import type { INestApplication } from '@nestjs/common';
import { createClient } from 'graphql-ws';
import { WebSocket } from 'ws';
import { type ServerSession, ServerSessionModule, Session, SessionService } from 'nestjs-server-session';
import { Browser } from '../e2e/browser.js';
import { RecordingRepository } from '../e2e/recording.repository.js';

const SCHEMA = `
  type Cart { items: [String!]!, size: Int! }
  type Query { cart: Cart!, visits: Int!, mine: String!, failed: String }
  type Mutation { add(item: String!): Cart!, logIn(user: String!): String!, logOut: Boolean!, fail(item: String!): Boolean }
  type Subscription { ticks: String! }
`;

@Injectable()
class SignedIn implements CanActivate {
  constructor(private readonly sessions: SessionService) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    return (await this.sessions.load(context)).principal !== undefined;
  }
}

interface Cart {
  items: string[];
}

@Resolver('Cart')
class CartResolver {
  @Query('cart') cart(@Session('basket') items: string[] = []): Cart {
    return { items };
  }

  @Query('visits') visits(@Session() session: ServerSession): number {
    session.set('visits', session.get<number>('visits', 0) + 1);
    return session.get('visits', 0);
  }

  @Query('failed') failed(@Session('failed') failed?: string): string | undefined {
    return failed;
  }

  @UseGuards(SignedIn) @Query('mine') mine(@Session() session: ServerSession): string {
    return session.principal ?? '';
  }

  @Mutation('add') add(@Session() session: ServerSession, @Args('item') item: string): Cart {
    session.set('basket', [...session.get<string[]>('basket', []), item]);
    return { items: session.get('basket', []) };
  }

  @Mutation('logIn') logIn(@Session() session: ServerSession, @Args('user') user: string): string {
    session.principal = user;
    return user;
  }

  @Mutation('logOut') async logOut(@Session() session: ServerSession): Promise<boolean> {
    await session.destroy();
    return true;
  }

  @Mutation('fail') fail(@Session() session: ServerSession, @Args('item') item: string): boolean {
    session.set('failed', item);
    throw new Error('no');
  }

  @ResolveField('size') size(@Parent() { items }: Cart, @Session('basket') basket: string[] = []): number {
    return items.length === basket.length ? basket.length : -1;
  }

  @Subscription('ticks') async *ticks(@Session() session: ServerSession): AsyncGenerator<{ ticks: string }> {
    yield { ticks: session.get<string[]>('basket', []).join() };
  }
}

const SUBSCRIPTIONS = { 'graphql-ws': true } as const;
interface Setup {
  readonly graphql: DynamicModule;
  readonly adapter: AbstractHttpAdapter;
}

const SERVERS: Record<string, () => Setup> = {
  'Apollo on Express': () => ({
    graphql: GraphQLModule.forRoot<ApolloDriverConfig>({ driver: ApolloDriver, typeDefs: SCHEMA, subscriptions: SUBSCRIPTIONS }),
    adapter: new ExpressAdapter(),
  }),
  'Apollo on Fastify': () => ({
    graphql: GraphQLModule.forRoot<ApolloDriverConfig>({ driver: ApolloDriver, typeDefs: SCHEMA, subscriptions: SUBSCRIPTIONS }),
    adapter: new FastifyAdapter(),
  }),
  'Mercurius on Fastify': () => ({
    graphql: GraphQLModule.forRoot<MercuriusDriverConfig>({ driver: MercuriusDriver, typeDefs: SCHEMA, subscription: true }),
    adapter: new FastifyAdapter(),
  }),
};

describe.each(Object.keys(SERVERS))('GraphQL by %s', (name) => {
  const repository = new RecordingRepository();
  let app: INestApplication;
  let browser: Browser;

  beforeEach(async () => {
    const { graphql, adapter } = SERVERS[name]!();
    @Module({ imports: [ServerSessionModule.forRoot({ repository }), graphql], providers: [CartResolver, SignedIn] })
    class AppModule {}
    app = await NestFactory.create(AppModule, adapter, { logger: false });
    await app.listen(0, '127.0.0.1');
    browser = new Browser(await app.getUrl());
    repository.calls = [];
  });
  afterEach(() => app.close());

  const ask = async (query: string): Promise<{ data: Record<string, unknown> | null; errors?: unknown[] }> =>
    (await browser.post('graphql', { query })).json as never;

  it('has the session in queries, mutations and field resolvers', async () => {
    expect(await ask('{ cart { items size } }')).toEqual({ data: { cart: { items: [], size: 0 } } });
    expect(browser.jar.size).toBe(0);
    expect(await ask('mutation { add(item: "tea") { items size } }')).toEqual({ data: { add: { items: ['tea'], size: 1 } } });
    expect(await ask('{ cart { items size } }')).toEqual({ data: { cart: { items: ['tea'], size: 1 } } });
  });

  it('loads once and saves once for all root fields of a request', async () => {
    await ask('mutation { add(item: "tea") { size } }');
    repository.calls = [];
    const { data } = await ask('{ a: visits b: visits cart { items size } }');
    expect(data).toMatchObject({ cart: { items: ['tea'], size: 1 } });
    expect(repository.calls).toEqual(['read', 'update']);
    await ask('mutation { a: add(item: "milk") { size } b: add(item: "bread") { size } }');
    expect((await ask('{ cart { items } }')).data).toEqual({ cart: { items: ['tea', 'milk', 'bread'] } });
  });

  it('has it in guards, and logs in and out', async () => {
    expect((await ask('{ mine }')).errors).toHaveLength(1);
    await ask('mutation { logIn(user: "ada") }');
    expect((await ask('{ mine }')).data).toEqual({ mine: 'ada' });
    await ask('mutation { logOut }');
    expect((await ask('{ mine }')).errors).toHaveLength(1);
    expect(browser.jar.size).toBe(0);
  });

  it('keeps what a resolver changed before it threw', async () => {
    expect((await ask('mutation { fail(item: "tea") }')).errors).toHaveLength(1);
    expect((await ask('{ failed }')).data).toEqual({ failed: 'tea' });
  });

  it('has it in subscriptions over graphql-ws, by the cookie of the handshake', async () => {
    await ask('mutation { add(item: "tea") { size } }');
    const { cookieHeader } = browser;
    class Socket extends WebSocket {
      constructor(url: string, protocols?: string | string[]) {
        super(url, protocols, { headers: { cookie: cookieHeader } });
      }
    }
    const client = createClient({ url: `${browser.url.replace('http', 'ws')}/graphql`, webSocketImpl: Socket, retryAttempts: 0 });
    const ticks: unknown[] = [];
    await new Promise<void>((resolve, reject) => {
      client.subscribe({ query: 'subscription { ticks }' }, { next: (value) => ticks.push(value), complete: resolve, error: reject });
    });
    await client.dispose();
    expect(ticks).toEqual([{ data: { ticks: 'tea' } }]);
  });
});
