import { describeClocks } from './support/clocks.cases.js';

for (const name of ['memcached', 'mongodb', 'postgres', 'mariadb'] as const) describeClocks(name);
