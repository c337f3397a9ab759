import type { ExecutionContext } from '@nestjs/common';
import type { IncomingMessage, ServerResponse } from 'node:http';

/** A request as Express, Fastify or Node has it. */
export type HttpRequest = IncomingMessage & {
  /** Fastify's wrapper holds Node's request here. */
  raw?: IncomingMessage;
  /** Express links the response. */
  res?: ServerResponse;
  protocol?: string;
  session?: unknown;
  /** Fastify's instance. */
  server?: object;
  /** Express' application. */
  app?: object;
  /** Express' way to its error handlers. */
  next?: (error: unknown) => void;
};

/** Fastify's wrapper of the response. */
export interface FastifyReply {
  readonly raw: ServerResponse;
  readonly sent: boolean;
  getHeaders(): object;
  removeHeader(name: string): unknown;
  send(error: unknown): void;
}

/** Where Fastify's hook leaves the reply for those who have only the request. */
const REPLY = Symbol('server-session.reply');

type LinkedMessage = IncomingMessage & { [REPLY]?: FastifyReply };

/** A request and its response, as the caller has them and as Node has them. */
export interface HttpExchange {
  /** What the application sees: Express' request, or Fastify's wrapper. */
  readonly request: HttpRequest;
  readonly rawRequest: IncomingMessage;
  readonly rawResponse: ServerResponse | undefined;
  readonly reply: FastifyReply | undefined;
}

/** Fastify, unlike Express, does not link a request with its response; middleware that asks for the session has only the former. */
export function linkReply(rawRequest: IncomingMessage, reply: FastifyReply): void {
  (rawRequest as LinkedMessage)[REPLY] = reply;
}

/**
 * The one place that knows about execution contexts.
 *
 * @returns undefined for a context that has no HTTP request.
 */
export function toHttpExchange(source: ExecutionContext | object): HttpExchange | undefined {
  if (!isExecutionContext(source)) return fromRequest(source as HttpRequest, undefined);
  if (source.getType<string>() !== 'http') return undefined;
  const http = source.switchToHttp();
  return fromRequest(http.getRequest<HttpRequest>(), http.getResponse<ServerResponse>());
}

function fromRequest(request: HttpRequest, response: ServerResponse | undefined): HttpExchange {
  const rawRequest = request.raw ?? request;
  const reply = (rawRequest as LinkedMessage)[REPLY];
  return { request, rawRequest, rawResponse: reply?.raw ?? response ?? request.res, reply };
}

function isExecutionContext(source: object): source is ExecutionContext {
  return 'switchToHttp' in source && typeof source.switchToHttp === 'function';
}

/** Whether the request came over https, behind proxies as far as the adapter trusts them. */
export function isSecure({ request, rawRequest }: HttpExchange): boolean {
  const protocol = request.protocol ?? (rawRequest as HttpRequest).protocol;
  if (protocol !== undefined) return protocol === 'https';
  return 'encrypted' in rawRequest.socket && rawRequest.socket.encrypted === true;
}
