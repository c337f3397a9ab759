import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';

// Imports the package, and boots an application with it where options are given.
const [entry, options] = process.argv.slice(2);
const { ServerSessionModule } = await import(entry);
if (options !== undefined) {
  class AppModule {}
  Module({ imports: [ServerSessionModule.forRoot(JSON.parse(options))] })(AppModule);
  const app = await NestFactory.create(AppModule, { logger: false, abortOnError: false });
  await app.init();
  await app.close();
}
