import { access, readFile, rm, writeFile } from 'node:fs/promises';
import { findBinary } from './find-binary.js';
import { withLock } from './lock.js';
import { unlessItFailedLately } from './remembered-failure.js';
import { runCommand } from './run-command.js';

const POLICY = '/usr/sbin/policy-rc.d';
/** Names the packages installed in this run; a worker inherits it from the global setup. */
const INSTALLED = 'SERVER_SESSION_INSTALLED';
const LIMIT = 10 * 60 * 1000;

/** True for root on Debian, Ubuntu and what descends from them. */
export async function canInstallDebianPackages(): Promise<boolean> {
  if (process.getuid?.() !== 0 || (await findBinary('apt-get')) === undefined) return false;
  const release = await readFile('/etc/os-release', 'utf8').catch(() => '');
  return /^ID(_LIKE)?=.*\b(debian|ubuntu)\b/m.test(release);
}

/** Installs a package without leaving the system service that comes with it running. */
export async function installDebianPackage(name: string): Promise<void> {
  await unlessItFailedLately(`apt-${name}`, () =>
    // One apt at a time, and none that finds apt's own lock taken.
    withLock('apt', async () => {
      const ownPolicy = await forbidServiceStarts();
      try {
        await aptGet('update');
        await aptGet('install', '-y', '--no-install-recommends', name);
      } finally {
        if (ownPolicy) await rm(POLICY, { force: true });
      }
      if (!ownPolicy) await stopService(name);
    }),
  );
  process.env[INSTALLED] = [...installedInThisRun(), name].join(',');
}

export function installedInThisRun(): string[] {
  return (process.env[INSTALLED] ?? '').split(',').filter((name) => name !== '');
}

/** Debian's way to say "install, but start nothing". True when the file is ours to remove. */
async function forbidServiceStarts(): Promise<boolean> {
  const exists = await access(POLICY).then(
    () => true,
    () => false,
  );
  if (exists) return false;
  await writeFile(POLICY, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  return true;
}

/** The machine has a policy of its own, which may have let the new service start. */
async function stopService(name: string): Promise<void> {
  const service = name === 'mariadb-server' ? 'mariadb' : name;
  await runCommand('service', [service, 'stop'], { timeout: 60_000 }).catch(() => undefined);
}

async function aptGet(...args: readonly string[]): Promise<void> {
  await runCommand('apt-get', ['-q', '-o', 'DPkg::Lock::Timeout=300', ...args], {
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    timeout: LIMIT,
  });
}
