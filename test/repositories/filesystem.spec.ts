import { afterAll } from '@jest/globals';
import { describeSessionRepository } from 'nestjs-server-session/testing';
import { FilesystemSessionRepository } from '../../lib/repositories/filesystem/filesystem-session.repository.js';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const dir = mkdtempSync(join(tmpdir(), 'sessions-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

describeSessionRepository('filesystem', () => new FilesystemSessionRepository({ dir, threshold: 0 }, { keyPrefix: 'session:' }));
