/** What a code block of the docs may use without importing it. */
export * from '@nestjs/common';
export * from '@nestjs/core';
export { Args, Mutation, Resolver } from '@nestjs/graphql';
export { MongooseModule } from '@nestjs/mongoose';
export * from '@nestjs/platform-express';
export { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
export { PassportModule } from '@nestjs/passport';
export * from '@nestjs/terminus';
export * from '@nestjs/testing';
export { TypeOrmModule } from '@nestjs/typeorm';
export * from '@nestjs/websockets';
export * from 'nestjs-server-session';
export * from 'nestjs-server-session/health';
export * from 'nestjs-server-session/interop';
export * from 'nestjs-server-session/testing';
export { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest, test } from '@jest/globals';
export { default as passport } from 'passport';
export type { Socket } from 'socket.io';
export { Redis } from 'ioredis';
export { MemcacheClient } from 'memcache-client';
export { readFileSync } from 'node:fs';
export type { Request, Response } from 'express';
// Both this package and Nest have one.
export { Session } from 'nestjs-server-session';
