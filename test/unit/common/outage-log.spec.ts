import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { OutageLog } from '../../../lib/common/outage-log.js';

describe('An outage log', () => {
  let lines: string[];
  beforeEach(() => {
    lines = [];
    for (const level of ['log', 'error'] as const) {
      jest.spyOn(Logger.prototype, level).mockImplementation((message: unknown) => void lines.push(`${level}: ${String(message)}`));
    }
  });
  afterEach(() => void jest.restoreAllMocks());

  it('has one line for the failures of an outage, and one for its end', () => {
    const outage = new OutageLog('Redis');
    for (let failure = 0; failure < 3; failure++) outage.failed('Redis: connect ECONNREFUSED');
    expect(outage.isOpen).toBe(true);
    for (let answer = 0; answer < 3; answer++) outage.recovered();
    expect(outage.isOpen).toBe(false);
    expect(lines).toEqual(['error: Redis: connect ECONNREFUSED', 'log: Redis is back']);
  });

  it('tells of the next outage again', () => {
    const outage = new OutageLog('Redis');
    outage.failed('one');
    outage.recovered();
    outage.failed('two');
    expect(lines.filter((line) => line.startsWith('error'))).toEqual(['error: one', 'error: two']);
  });

  it('says nothing of an end without an outage', () => {
    new OutageLog('Redis').recovered();
    expect(lines).toEqual([]);
  });

  it('can be told to say nothing of the end, or something else', () => {
    const silent = new OutageLog('purge', null);
    silent.failed('one');
    silent.recovered();
    const other = new OutageLog('indexes', 'the indexes are there now');
    other.failed('[ServerSession] two');
    other.recovered();
    expect(lines).toEqual(['error: one', 'error: two', 'log: the indexes are there now']);
  });
});
