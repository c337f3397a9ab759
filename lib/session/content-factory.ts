import type { ResolvedSessionOptions } from '../options/resolved-options.js';
import type { SessionContent } from '../storage/record.codec.js';
import type { SerializedFields } from '../storage/record-fields.js';
import { assertSize } from '../storage/record-size.js';
import type { SessionState } from './session-state.js';

/** What is to be stored of a session, within the limit that the options set. */
export class ContentFactory {
  constructor(private readonly options: Pick<ResolvedSessionOptions, 'maxBytes' | 'serializer'>) {}

  /**
   * The content to store for a request.
   *
   * @throws SessionTooLargeError when its data exceed `maxBytes`.
   */
  contentOf(state: SessionState, fields: SerializedFields, now: number): SessionContent {
    this.assertSize(fields);
    const serializer = state.base?.content.serializer ?? this.serializerName;
    const { createdAt, cookieAt, deadline } = state;
    return { kind: 'session', createdAt, accessedAt: now, cookieAt, deadline, serializer, fields, unknown: state.base?.content.unknown };
  }

  private get serializerName(): string {
    const { serializer } = this.options;
    return typeof serializer === 'string' ? serializer : serializer.name;
  }

  /** @throws SessionTooLargeError naming the largest keys. */
  assertSize(fields: SerializedFields): void {
    assertSize(fields, this.options.maxBytes);
  }
}
