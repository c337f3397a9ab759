// For child processes of tests: `node --import ./test/support/register-typescript.js child.ts` runs TypeScript as it is.
import { register } from 'node:module';

register('./typescript-hooks.js', import.meta.url);
