/** Something that runs a server: a process of ours, or a container. */
export interface Runner {
  readonly running: boolean;
  /** Starts it; whether it answers is for the caller to find out. */
  start(): void;
  /** An orderly shutdown. */
  shutDown(): Promise<void>;
  kill(): Promise<void>;
  pause(): Promise<void>;
  resume(): Promise<void>;
  /** The end of what the server has printed. */
  logTail(): Promise<string>;
  /** Ends it as fast as possible and removes its data. */
  discard(): Promise<void>;
}
