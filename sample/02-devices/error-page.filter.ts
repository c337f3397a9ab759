import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { SessionListingNotSupportedError } from 'nestjs-server-session';
import { CONTENT_SECURITY } from './pages/layout.js';
import { errorPage } from './pages/error.page.js';

/** Errors as pages. What is not meant for visitors stays in the log: Nest's own answer to anything but an HttpException. */
@Catch(HttpException)
export class ErrorPageFilter implements ExceptionFilter<HttpException> {
  constructor(private readonly host: HttpAdapterHost) {}

  catch(error: HttpException, context: ArgumentsHost): void {
    const response: unknown = context.switchToHttp().getResponse();
    const { httpAdapter } = this.host;
    httpAdapter.setHeader(response, 'content-type', 'text/html; charset=utf-8');
    httpAdapter.setHeader(response, 'content-security-policy', CONTENT_SECURITY);
    httpAdapter.reply(response, errorPage(messageOf(error)), error.getStatus());
  }
}

function messageOf(error: HttpException): string {
  if (error instanceof SessionListingNotSupportedError)
    return 'The store of this application cannot list its sessions. Start it with another SESSION_TYPE, such as redis or filesystem.';
  return error.getStatus() < 500 ? error.message : 'The sessions cannot be reached at the moment. Try again in a minute.';
}
