import { describe, expect, it } from '@jest/globals';
import { assertPrincipal, isPrincipal } from '../../../lib/common/principal.js';

describe('A principal', () => {
  it.each(['a', '0', ' ', 'Zoë 😀', 'a:b/c%_*', '__proto__', 'x'.repeat(512)])('may be %j', (value) => {
    expect(isPrincipal(value)).toBe(true);
    expect(() => assertPrincipal(value)).not.toThrow();
  });

  it.each<[string, unknown, string]>([
    ['undefined', undefined, 'undefined'],
    ['null', null, 'null'],
    ['an empty string', '', 'an empty string'],
    ['a number', 0, 'the number 0'],
    ['an operator of a query', { $ne: null }, 'an object'],
    ['a list', ['ada'], 'an array'],
    ['a String object', Object('ada'), 'an object'],
    ['a string that is too long', 'x'.repeat(513), 'a string of 513 characters'],
    ['a string with NUL', 'ada\0', 'a string with a control character'],
    ['a string with a line break', 'ada\nadmin', 'a string with a control character'],
    ['a string with DEL', 'ada\u007f', 'a string with a control character'],
    ['a string with a C1 control', 'ada\u009b', 'a string with a control character'],
  ])('is not %s', (_, value, fault) => {
    expect(isPrincipal(value)).toBe(false);
    const message = `[ServerSession] a principal is a non-empty string of at most 512 characters without control characters; given: ${fault}`;
    expect(() => assertPrincipal(value)).toThrow(new TypeError(message));
  });
});
