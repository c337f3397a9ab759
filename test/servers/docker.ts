import { findBinary } from './find-binary.js';
import { withLock } from './lock.js';
import { runCommand } from './run-command.js';

/** True where a Docker daemon answers; a client alone is not enough. */
export async function dockerAnswers(): Promise<boolean> {
  if ((await findBinary('docker')) === undefined) return false;
  return docker('info').then(
    () => true,
    () => false,
  );
}

/** Downloads an image ahead of time: the limit for a server to answer does not allow for that. */
export async function ensureImage(image: string): Promise<void> {
  const present = () =>
    docker('image', 'inspect', image).then(
      () => true,
      () => false,
    );
  if (await present()) return;
  await withLock(`image-${image.replaceAll(/[^\w.-]/g, '-')}`, async () => {
    if (await present()) return;
    await runCommand('docker', ['pull', '--quiet', image], { timeout: 10 * 60 * 1000 });
  });
}

export function docker(...args: readonly string[]): Promise<string> {
  return runCommand('docker', args, { timeout: 30_000 });
}
