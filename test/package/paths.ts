import { resolve } from 'node:path';

export const ROOT = resolve(import.meta.dirname, '../..');
export const TSC = resolve(ROOT, 'node_modules/typescript/bin/tsc');
