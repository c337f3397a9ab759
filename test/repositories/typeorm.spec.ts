import { afterAll, beforeAll, describe } from '@jest/globals';
import { describeSessionRepository } from 'nestjs-server-session/testing';
import { allDatabases, makeRepository } from './typeorm-bench.js';

const STARTUP = 120_000;

for (const database of allDatabases()) {
  describe(`sessions in ${database.name}`, () => {
    beforeAll(() => database.start(), STARTUP);
    afterAll(() => database.stop(), STARTUP);

    describeSessionRepository(database.name, () => makeRepository({ url: database.url }));
  });
}
