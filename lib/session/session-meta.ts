import { Logger } from '@nestjs/common';
import { reasonOf } from '../errors.js';
import type { ResolvedSessionOptions } from '../options/resolved-options.js';
import type { SessionSerializer } from '../storage/serializers.js';
import { Attribute } from '../storage/record-fields.js';
import type { SessionState } from './session-state.js';

/** What the application notes of the request that a session begins with: the option `meta`. */
export class SessionMeta {
  private readonly logger = new Logger('ServerSession');

  constructor(
    private readonly meta: ResolvedSessionOptions['meta'],
    private readonly serializer: SessionSerializer,
  ) {}

  /** Whether anything is noted. */
  get isWanted(): boolean {
    return this.meta !== undefined;
  }

  /** A note that fails is not a reason to fail the request. */
  note(state: SessionState): void {
    if (state.request === undefined || state.fields.has(Attribute.meta)) return;
    try {
      const meta = this.meta?.(state.request());
      this.serializer.serialize(meta);
      if (meta !== undefined) state.fields.set(Attribute.meta, meta);
    } catch (error) {
      this.logger.error(`[ServerSession] the option 'meta' failed; the session begins without: ${reasonOf(error)}`);
    }
  }
}
