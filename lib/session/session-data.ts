/**
 * The data of your sessions. Empty: declare your keys by declaration merging.
 *
 * ```ts
 * declare module 'nestjs-server-session' {
 *   interface SessionData {
 *     cart?: string[];
 *   }
 * }
 * ```
 */
export interface SessionData {}

/** The keys that were declared; any string while none were. */
export type SessionKey = keyof SessionData & string;

export interface FlashMessage {
  readonly kind: string;
  readonly message: unknown;
}
