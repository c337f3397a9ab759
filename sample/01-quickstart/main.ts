import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { AppModule } from './app.module.js';

const { ADAPTER = 'express', PORT = '3000', SESSION_TYPE = 'filesystem' } = process.env;

const app = await NestFactory.create(AppModule, ADAPTER === 'fastify' ? new FastifyAdapter() : new ExpressAdapter(), {
  logger: ['warn', 'error', 'fatal'],
});
app.enableShutdownHooks();
const server = await app.listen(Number(PORT));
const { port } = server.address() as { port: number };

const url = `http://localhost:${port}`;
console.log(`
The shop is open at ${url} (on ${ADAPTER}, sessions in: ${SESSION_TYPE})

In a browser, or:
  curl -c jar -b jar ${url}/api/login -d name=Ada
  curl -c jar -b jar ${url}/api/cart -d product=tea
  curl -c jar -b jar ${url}/api/shop
Stop it (Ctrl+C), start it again with npm start, and ask once more: the cart is still there.
  curl -c jar -b jar ${url}/api/logout -X POST
`);
