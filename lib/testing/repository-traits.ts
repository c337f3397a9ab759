/** What a back end declares about itself; the suite checks it against that. */
export interface RepositoryTraits {
  /**
   * Whether several instances see the same sessions, as several processes would. False for memory: then every case runs on one
   * instance.
   * @default true
   */
  shared?: boolean;
  /**
   * The unit in which the store counts lifetimes, in milliseconds: `1000` for one that knows whole seconds. A record may live
   * longer than its lifetime by this much, and the suite waits accordingly.
   * @default 1
   */
  minimumLifetime?: number;
  /**
   * Whether it is a `ListableSessionRepository`. The suite has more cases for those, and one that compares the declaration with
   * the instance.
   * @default true
   */
  lists?: boolean;
  /**
   * Whether the store itself compares versions, so that of several processes that write a record at the same time one wins and the
   * others learn of it. False for a repository that can only read first and write then: the cases with such races run on one
   * instance, and two instances only have to leave a whole record.
   * @default true
   */
  compareAndSet?: boolean;
}

export const DEFAULT_TRAITS: Required<RepositoryTraits> = { shared: true, minimumLifetime: 1, lists: true, compareAndSet: true };
