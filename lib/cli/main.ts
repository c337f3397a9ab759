#!/usr/bin/env node
import { readFile } from 'node:fs/promises';
import { ExitCode } from './exit-code.js';
import { runCommandLine } from './program.js';

/** Milliseconds that an application may take to let go of what it has open, once it has been told to close. */
const LAST_MOMENT = 1_000;

// As in `list --all | head`: whoever reads has seen enough.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? ExitCode.ok : ExitCode.failed));

const { version } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string };
const { argv, env, stdout, stderr } = process;
process.exitCode = await runCommandLine({ args: argv.slice(2), env, cwd: process.cwd(), stdout, stderr, version });
setTimeout(() => process.exit(), LAST_MOMENT).unref();
