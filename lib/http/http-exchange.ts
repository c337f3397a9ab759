import type { ExecutionContext } from '@nestjs/common';
import type { IncomingMessage, ServerResponse } from 'node:http';

/** A request as Express, Fastify or Node has it. */
export type HttpRequest = IncomingMessage & {
  /** Fastify's wrapper holds Node's request here. */
  raw?: IncomingMessage;
  /** Express links the response. */
  res?: ServerResponse;
  protocol?: string;
  secure?: boolean;
  session?: unknown;
};

/** Where Fastify's hook leaves the response for those who have only the request. */
const RESPONSE = Symbol('server-session.response');

type LinkedMessage = IncomingMessage & { [RESPONSE]?: ServerResponse };

/** A request and its response, as the caller has them and as Node has them. */
export interface HttpExchange {
  /** What the application sees: Express' request, or Fastify's wrapper. */
  readonly request: HttpRequest;
  readonly rawRequest: IncomingMessage;
  readonly rawResponse: ServerResponse | undefined;
}

export function linkResponse(rawRequest: IncomingMessage, rawResponse: ServerResponse): void {
  (rawRequest as LinkedMessage)[RESPONSE] = rawResponse;
}

/**
 * The one place that knows about execution contexts.
 *
 * @returns undefined for a context that has no HTTP request.
 */
export function toHttpExchange(source: ExecutionContext | object): HttpExchange | undefined {
  if (!isExecutionContext(source)) return fromRequest(source as HttpRequest);
  if (source.getType<string>() !== 'http') return undefined;
  const http = source.switchToHttp();
  const response = http.getResponse<ServerResponse & { raw?: ServerResponse }>();
  return fromRequest(http.getRequest<HttpRequest>(), response.raw ?? response);
}

function fromRequest(request: HttpRequest, response?: ServerResponse): HttpExchange {
  const rawRequest = request.raw ?? request;
  return { request, rawRequest, rawResponse: response ?? (rawRequest as LinkedMessage)[RESPONSE] ?? request.res };
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
