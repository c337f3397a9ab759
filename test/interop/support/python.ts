import { canInstallDebianPackages, installDebianPackage } from '../../servers/debian-packages.js';
import { runCommand } from '../../servers/run-command.js';

/** Debian's own Python: the one that its packages are for. */
const PYTHON = '/usr/bin/python3';

/** Module names and the Debian packages that bring them. */
const PACKAGES: Readonly<Record<string, string>> = {
  flask_session: 'python3-flask-session',
  redis: 'python3-redis',
  memcache: 'python3-memcache',
  pymongo: 'python3-pymongo',
  flask_sqlalchemy: 'python3-flask-sqlalchemy',
  msgpack: 'python3-msgpack',
};

/**
 * Debian's Python with these modules, which are installed where they are missing.
 *
 * @throws Error that names the packages, where they can neither be found nor installed.
 */
export async function pythonWith(...modules: readonly string[]): Promise<string> {
  for (const name of modules) {
    if (await hasModule(name)) continue;
    const debianPackage = PACKAGES[name] ?? `python3-${name}`;
    if (!(await canInstallDebianPackages())) throw new Error(`these tests need the Debian package ${debianPackage}`);
    await installDebianPackage(debianPackage);
  }
  return PYTHON;
}

/** Runs a program and reads what it prints as JSON. */
export async function runPython<T>(program: string, modules: readonly string[] = [], args: readonly string[] = []): Promise<T> {
  const python = await pythonWith(...modules);
  return JSON.parse(await runCommand(python, ['-c', program, ...args], { timeout: 30_000 })) as T;
}

function hasModule(name: string): Promise<boolean> {
  return runCommand(PYTHON, ['-c', `import ${name}`], { timeout: 30_000 }).then(
    () => true,
    () => false,
  );
}
