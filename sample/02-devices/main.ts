import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { AppModule } from './app.module.js';
import { HINTS } from './users.js';

const { ADAPTER = 'express', PORT = '3000', SESSION_TYPE = 'filesystem' } = process.env;

const app = await NestFactory.create(AppModule, ADAPTER === 'fastify' ? new FastifyAdapter() : new ExpressAdapter(), {
  logger: ['warn', 'error', 'fatal'],
});
app.enableShutdownHooks();
const server = await app.listen(Number(PORT));
const { port } = server.address() as { port: number };

const url = `http://localhost:${port}`;
console.log(`
Your devices: ${url} (on ${ADAPTER}, sessions in: ${SESSION_TYPE})

Sign in as:${HINTS.map(([name, password]) => `\n  ${name}, with the password: ${password}`).join('')}
Do so in two browsers (or a private window), and sign out the one from the other.
Grace is an administrator, and sees who comes and goes at ${url}/admin
`);
