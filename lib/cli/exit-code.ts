/** How the command line ends, for scripts. */
export const ExitCode = {
  /** It did what it was asked to. */
  ok: 0,
  /** It could not: the store is down, the back end cannot do it, the application does not start. */
  failed: 1,
  /** It was asked wrongly: an unknown option, a handle that cannot be one, no back end named. */
  usage: 2,
  /** There is no such session: nothing was listed, nothing was ended. */
  nothingFound: 3,
} as const;

export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

/** What whoever typed the command has to change. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
