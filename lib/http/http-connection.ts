import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { DiscoveryService, HttpAdapterHost, MetadataScanner } from '@nestjs/core';
import { RESOLVED_OPTIONS, type ResolvedSessionOptions } from '../options/resolved-options.js';
import { connectAdapter, connectServer } from './adapters.js';
import { RequestSessions } from './request-session.js';
import { bindSessionHandlers } from './session-handlers.js';

/** Connects the sessions with the application's handlers, its adapter and its server. */
@Injectable()
export class HttpConnection implements OnModuleInit {
  constructor(
    @Inject(HttpAdapterHost) private readonly host: HttpAdapterHost,
    @Inject(RequestSessions) private readonly sessions: RequestSessions,
    @Inject(RESOLVED_OPTIONS) { earlyLoad }: ResolvedSessionOptions,
    @Inject(DiscoveryService) discovery: DiscoveryService,
    @Inject(MetadataScanner) scanner: MetadataScanner,
  ) {
    // Nest sets up the routes before any hook of a module runs.
    bindSessionHandlers(discovery, scanner, sessions);
    connectAdapter(host, sessions, earlyLoad === false ? undefined : earlyLoad === true ? () => true : earlyLoad);
  }

  onModuleInit(): void {
    connectServer(this.host, this.sessions);
  }
}
