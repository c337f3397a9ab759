import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { IoAdapter } from '@nestjs/platform-socket.io';
import { AppModule } from './app.module.js';

const { ADAPTER = 'express', PORT = '3000', SESSION_TYPE = 'filesystem' } = process.env;

const app = await NestFactory.create(AppModule, ADAPTER === 'fastify' ? new FastifyAdapter() : new ExpressAdapter(), {
  logger: ['warn', 'error', 'fatal'],
});
app.useWebSocketAdapter(new IoAdapter(app));
app.enableShutdownHooks();
const server = await app.listen(Number(PORT));
const { port } = server.address() as { port: number };

console.log(`
Chat: http://localhost:${port} (on ${ADAPTER}, sessions in: ${SESSION_TYPE})

Sign in by any name, in two browsers (or a private window), and talk.
Open a second tab and sign out in the first: the second one is disconnected at once.
`);
