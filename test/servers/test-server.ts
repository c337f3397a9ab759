export type ServerKind = 'redis' | 'redis-cluster' | 'memcached' | 'postgres' | 'mariadb' | 'mongodb';

/** Where a server came from; the order is the order in which they are tried. */
export type ServerSource = 'environment' | 'binary' | 'debian package' | 'mongodb-memory-server' | 'docker' | 'jongodb';

/** A real server that answers on a TCP port. */
export interface TestServer {
  readonly kind: ServerKind;
  readonly version: string;
  readonly source: ServerSource;
  /** The program, the image or the environment variable behind `source`. */
  readonly target: string;
  readonly host: string;
  readonly port: number;
  readonly url: string;
  /** False for a server given by URL: kill, restart, pause and resume throw there. */
  readonly ours: boolean;
  /** Whether what was written is still there after `kill()` and `restart()`. */
  readonly keepsData: boolean;
  /** Ends the server and removes its data. */
  stop(): Promise<void>;
  /** SIGKILL, and wait until the process is gone. */
  kill(): Promise<void>;
  /** Start again on the same port with the same data folder (a running server is shut down first). */
  restart(): Promise<void>;
  /** SIGSTOP: connections stay open, the kernel still accepts, nothing answers. */
  pause(): Promise<void>;
  /** SIGCONT. */
  resume(): Promise<void>;
}

/** Several servers that are started and stopped together. */
export interface ServerGroup {
  readonly kind: ServerKind;
  readonly nodes: TestServer[];
  stop(): Promise<void>;
}
