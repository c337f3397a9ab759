import { describeClocks } from './support/clocks.cases.js';

// MongoDB has a test of its own, test/repositories/mongodb-clock.spec.ts: not every substitute for its server tells the time.
for (const name of ['memcached', 'postgres', 'mariadb', 'sqlite'] as const) describeClocks(name);
