import { describe, expect, it } from '@jest/globals';
import { TouchSchedule } from '../../../lib/session/touch-schedule.js';

const DAY = 86_400_000;

describe('TouchSchedule', () => {
  it('knows a session until it ends', () => {
    const touches = new TouchSchedule(60_000, DAY);
    touches.note('a', DAY);
    expect(touches.knows('a')).toBe(true);
    touches.forget('a');
    expect(touches.knows('a')).toBe(false);
    expect(touches.last('a')).toBe(0);
  });

  it('forgets abandoned sessions, several for each that is noted, and keeps those that may live', () => {
    const touches = new TouchSchedule(60_000, DAY);
    for (let n = 0; n < 8; n++) touches.note(`abandoned${n}`, DAY, DAY);
    for (let n = 0; n < 8; n++) touches.note(`living${n}`, DAY, DAY / 2);
    const known = (name: string): number => Array.from({ length: 8 }, (_, n) => touches.knows(name + n)).filter(Boolean).length;
    expect([known('abandoned'), known('living')]).toEqual([0, 8]);
  });

  it('gives a touch along with a read once the interval is over, and not before', () => {
    const touches = new TouchSchedule(60_000, DAY);
    touches.note('due', DAY, 60_000);
    touches.note('not due', DAY, 50_000);
    expect([touches.due('due'), touches.due('not due'), touches.due('unknown')]).toEqual([DAY, undefined, undefined]);
  });
});
