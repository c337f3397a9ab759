import type { OptionReader } from '../../common/option-reader.js';
import type { BackEnd } from '../repository.factory.js';

/** Where and how the filesystem back end keeps sessions. */
export interface FilesystemSessionOptions {
  /**
   * The folder; made when it is missing. Processes on one machine may share it.
   * @default 'server_session' under the working directory
   */
  dir?: string;
  /**
   * About how many sessions are kept. At the threshold expired ones go first, then the longest unused, with one warning.
   * `0` is no limit.
   * @default 500
   */
  threshold?: number;
  /**
   * The mode of the files, less the umask of the process; their folders can be entered by whoever may read them.
   * @default 0o600
   */
  mode?: number;
}

export const FILESYSTEM_DEFAULTS = { dir: 'server_session', threshold: 500, mode: 0o600 };

export const backEnd: BackEnd<FilesystemSessionOptions> = {
  check: checkFilesystemOptions,
  create: async ({ options }) =>
    new (await import('./filesystem-session.repository.js')).FilesystemSessionRepository(options.filesystem, options),
};

function checkFilesystemOptions(read: OptionReader): void {
  read.check('dir', FILESYSTEM_DEFAULTS.dir, 'the path of a folder', (value) => typeof value === 'string' && value !== '');
  read.integer('threshold', FILESYSTEM_DEFAULTS.threshold, 0);
  const mode = read.integer('mode', FILESYSTEM_DEFAULTS.mode, 0, 0o777);
  if ((mode & 0o600) !== 0o600) read.fault('mode', `0o${mode.toString(8)}`, 'a mode that lets the owner read and write, as in 0o600');
  read.rejectUnknown();
}
