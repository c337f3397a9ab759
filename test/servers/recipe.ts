import type { Place } from './locate.js';
import type { SystemUser } from './system-user.js';
import type { ServerKind } from './test-server.js';

/** A program about to be started for the first time, and where. */
export interface NativePlace extends Place {
  readonly port: number;
  /** The data folder: it does not exist yet, its parent belongs to `user`. */
  readonly data: string;
  /** Who the server runs as, when not as oneself. */
  readonly user: SystemUser | undefined;
}

export interface ContainerRecipe {
  /** The port that the image listens on; `args` may choose another one on the host's network. */
  readonly innerPort: number;
  /** Where the image keeps its data: a volume is put there, so that the data survive a restart. */
  readonly dataFolder?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** For servers that must reach each other on 127.0.0.1, as clients do. */
  readonly hostNetwork?: boolean;
  args(port: number): string[];
}

/** How to run one kind of server, wherever it comes from. */
export interface Recipe {
  readonly kind: ServerKind;
  /** The system user to become when the tests run as root. */
  readonly user?: string;
  /** The signal of an orderly shutdown; SIGTERM unless told otherwise. */
  readonly shutdownSignal?: NodeJS.Signals;
  /** The signal of a quick end without regard for the data; SIGKILL unless told otherwise. */
  readonly discardSignal?: NodeJS.Signals;
  readonly container: ContainerRecipe;
  keepsData(place: Place): boolean;
  /** Fills the data folder before the first start. */
  prepare?(place: NativePlace): Promise<void>;
  args(place: NativePlace): string[];
  /** Called once the server has ended for good. */
  afterwards?(place: NativePlace): Promise<void>;
  url(port: number): string;
  /** Talks to the server as a client does; resolves to its version. */
  probe(url: string, place: Place | undefined): Promise<string>;
}
