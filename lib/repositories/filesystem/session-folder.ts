import { files, orUndefined } from './files.js';

/**
 * An underscore that would look like the escape of a character: of one in ASCII that is escaped, or the first byte of another.
 */
const LIKE_AN_ESCAPE = /_(?=[012][0-9A-F]|3[A-F]|40|5[B-F]|60|7[B-F]|[C-F][0-9A-F]_[89AB])/g;
const WRITABLE_BY_OTHERS = 0o022;
/** In such a folder users can rename and remove only what is theirs, as in `/tmp`. */
const STICKY = 0o1000;

/** The key prefix as the name of a folder, on every filesystem: `session:` is `session_3A`. No two prefixes have the same name. */
export function folderNameOf(keyPrefix: string): string {
  if (keyPrefix === '_') return '_5F';
  const escaped = encodeURIComponent(keyPrefix).replace(LIKE_AN_ESCAPE, '%5F').replaceAll('*', '%2A').replaceAll('.', '%2E');
  return escaped.replaceAll('%', '_') || '_';
}

/**
 * Checks that no other user can write sessions: with a session of somebody else in it the folder would sign that user in. A folder that is
 * not there yet is made with the right mode.
 *
 * @param dir the option; @param root the folder of the key prefix in it; @param mode of the files.
 * @throws Error that says what to do.
 */
export async function refuseForeignFolder(dir: string, root: string, mode: number): Promise<void> {
  // Windows has neither.
  const user = process.geteuid?.();
  if (user === undefined) return;
  for (const path of [dir, root]) {
    const stat = await orUndefined(['ENOENT', 'ENOTDIR', 'EACCES'], files.stat(path));
    if (stat === undefined) continue;
    const refuse = (fault: string, command: string): never => {
      throw new Error(
        `[ServerSession] the session folder '${path}' ${fault}, so others could change sessions. ` +
          `Run: ${command} '${path}', or choose another folder (option 'filesystem.dir')`,
      );
    };
    const owners = path === root ? [user] : [user, 0];
    if (!owners.includes(stat.uid)) refuse(`belongs to another user (uid ${stat.uid}, and this process has ${user})`, `chown -R ${user}`);
    const isShared = (stat.mode & WRITABLE_BY_OTHERS & ~mode) !== 0;
    if (isShared && (path === root || (stat.mode & STICKY) === 0))
      refuse(`may be written to by other users (its mode is 0o${(stat.mode & 0o7777).toString(8)})`, 'chmod go-w');
  }
}
