import { Logger } from '@nestjs/common';
import type { IncomingMessage } from 'node:http';
import type { ResolvedSessionOptions } from '../options/resolved-options.js';

/** Decides whether a cookie is `Secure`, and tells once when a proxy seems not to be trusted: a common trap. */
export class SecureCookieAdvice {
  private readonly logger = new Logger('ServerSession');
  private hasAdvised = false;

  constructor(private readonly secure: ResolvedSessionOptions['cookie']['secure']) {}

  /** @param isSecure whether the request came over https, as far as the adapter knows. */
  secureFor(isSecure: boolean, request: IncomingMessage): boolean {
    if (!isSecure && this.secure !== false && !this.hasAdvised) {
      const forwarded = request.headers['x-forwarded-proto'];
      if (typeof forwarded === 'string' && forwarded.startsWith('https')) this.advise();
    }
    return this.secure === 'auto' ? isSecure : this.secure;
  }

  private advise(): void {
    this.hasAdvised = true;
    this.logger.warn(
      '[ServerSession] a proxy says that the request came over https, but the application does not trust it, so the session ' +
        "cookie cannot follow the request's scheme. Trust the proxy: app.set('trust proxy', …) on Express, " +
        'new FastifyAdapter({ trustProxy: … }) on Fastify.',
    );
  }
}
