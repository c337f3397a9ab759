import { catalogue, type CatalogueEntry } from './catalogue.js';
import { canInstallDebianPackages, installDebianPackage, installedInThisRun } from './debian-packages.js';
import { dockerAnswers, ensureImage } from './docker.js';
import { findBinary } from './find-binary.js';
import { downloadedMongod, JONGODB, jongodbBinary } from './mongo-binary.js';
import type { ServerKind, ServerSource } from './test-server.js';

/** What to run: a program on this machine, or (source "docker") an image. */
export interface Place {
  readonly source: Exclude<ServerSource, 'environment'>;
  readonly target: string;
}

/** Finds the server of a kind, or fetches it. What went wrong on the way ends up in the error. */
export async function locate(kind: ServerKind): Promise<Place> {
  const entry = catalogue[kind];
  const problems: string[] = [];
  const found =
    (await onThisMachine(entry)) ??
    (await fromDebian(entry).catch(note(problems, 'apt-get'))) ??
    (await fromMemoryServer(kind).catch(note(problems, 'mongodb-memory-server'))) ??
    (await fromDocker(entry).catch(note(problems, 'docker'))) ??
    (await fromJongodb(kind));
  if (found === undefined) throw new Error([howToGet(kind, entry), ...problems].join('\n'));
  return found;
}

async function onThisMachine(entry: CatalogueEntry): Promise<Place | undefined> {
  const target = await findBinary(...entry.binaries);
  if (target === undefined) return undefined;
  const fresh = entry.debianPackage !== undefined && installedInThisRun().includes(entry.debianPackage);
  return { source: fresh ? 'debian package' : 'binary', target };
}

async function fromDebian(entry: CatalogueEntry): Promise<Place | undefined> {
  if (entry.debianPackage === undefined || !(await canInstallDebianPackages())) return undefined;
  await installDebianPackage(entry.debianPackage);
  return onThisMachine(entry);
}

async function fromMemoryServer(kind: ServerKind): Promise<Place | undefined> {
  if (kind !== 'mongodb') return undefined;
  return { source: 'mongodb-memory-server', target: await downloadedMongod() };
}

async function fromDocker(entry: CatalogueEntry): Promise<Place | undefined> {
  if (!(await dockerAnswers())) return undefined;
  await ensureImage(entry.dockerImage);
  return { source: 'docker', target: entry.dockerImage };
}

/** Last, because it is not MongoDB itself: it speaks its wire protocol. */
async function fromJongodb(kind: ServerKind): Promise<Place | undefined> {
  const target = kind === 'mongodb' ? await jongodbBinary() : undefined;
  return target === undefined ? undefined : { source: 'jongodb', target };
}

function note(problems: string[], step: string): (error: unknown) => undefined {
  return (error) => {
    problems.push(`${step}: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  };
}

function howToGet(kind: ServerKind, entry: CatalogueEntry): string {
  const ways = [
    `put ${entry.binaries.join(' or ')} on the PATH`,
    ...(entry.debianPackage === undefined ? [] : [`install the Debian or Ubuntu package ${entry.debianPackage}`]),
    `run Docker (image ${entry.dockerImage})`,
    ...(kind === 'mongodb' ? [`install the npm package ${JONGODB}`] : []),
    `set ${entry.variable} to a server that is already running`,
  ];
  return `no ${kind} server for the tests: ${ways.join(', or ')}.`;
}
