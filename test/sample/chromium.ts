import { type Browser, chromium } from 'playwright-core';
import { canInstallDebianPackages, installDebianPackage } from '../servers/debian-packages.js';
import { findBinary } from '../servers/find-binary.js';

const PACKAGE = 'chromium';
const BINARIES = ['chromium', 'chromium-browser', 'google-chrome'];

/** Nothing that talks to the network by itself, and nothing that a machine without a screen lacks. */
const ARGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** A real Chromium without a window, with an empty profile of its own. */
export async function launchChromium(): Promise<Browser> {
  return chromium.launch({ executablePath: await locateChromium(), headless: true, args: ARGS, timeout: 120_000 });
}

async function locateChromium(): Promise<string> {
  const named = process.env['CHROMIUM_PATH'];
  if (named !== undefined && named !== '') return named;
  const found = await findBinary(...BINARIES);
  if (found !== undefined) return found;
  if (await canInstallDebianPackages()) {
    await installDebianPackage(PACKAGE);
    const installed = await findBinary(...BINARIES);
    if (installed !== undefined) return installed;
  }
  throw new Error(
    `no Chromium for the tests: install the Debian or Ubuntu package ${PACKAGE}, put ${BINARIES.join(' or ')} on the PATH, ` +
      'or set CHROMIUM_PATH to the program.',
  );
}
