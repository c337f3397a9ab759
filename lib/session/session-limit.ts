/** How many sessions a principal may have. */
export interface SessionLimit {
  /** Before a session gets a principal. @throws where it must not. */
  admit(principal: string): Promise<void>;
  /** After the session is stored. @param handle of the session that got the principal. */
  enforce(principal: string, handle: string): Promise<void>;
}
