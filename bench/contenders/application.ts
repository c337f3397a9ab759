import {
  type ArgumentsHost,
  Catch,
  Controller,
  type ExceptionFilter,
  Get,
  HttpException,
  Query,
  Req,
  UseFilters,
  ValidationPipe,
} from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import * as classTransformer from 'class-transformer';
import { Type } from 'class-transformer';
import * as classValidator from 'class-validator';
import { IsInt, IsOptional, Min } from 'class-validator';
import type { IncomingMessage } from 'node:http';

/** What the handlers of real applications have around them: every contender has the same. */
export const VALIDATION = new ValidationPipe({
  transform: true,
  whitelist: true,
  validatorPackage: classValidator,
  transformerPackage: classTransformer,
});

/** What every measured route is asked with. */
export class PageQuery {
  @IsOptional()
  @Type(() => Number)
  @IsInt()
  @Min(1)
  page = 1;
}

/** The controllers' own way to answer errors. */
@Catch(HttpException)
export class ErrorFilter implements ExceptionFilter<HttpException> {
  constructor(private readonly host: HttpAdapterHost) {}

  catch(error: HttpException, context: ArgumentsHost): void {
    this.host.httpAdapter.reply(context.switchToHttp().getResponse(), { error: error.message }, error.getStatus());
  }
}

/** What uses no session, the same for all: a route that is measured, and one that takes the request. */
@Controller()
@UseFilters(ErrorFilter)
export class SharedController {
  @Get('unused') unused(@Query() { page }: PageQuery): object {
    return { page };
  }
  @Get('visits') visits(@Req() { headers }: IncomingMessage, @Query() { page }: PageQuery): object {
    return { page, agent: headers['user-agent'] ?? null };
  }
}
