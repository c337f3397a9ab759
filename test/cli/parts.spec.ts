import { describe, expect, it } from '@jest/globals';
import { PassThrough } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArguments } from '../../lib/cli/arguments.js';
import { harmless } from '../../lib/cli/output.js';
import { plainValue } from '../../lib/cli/plain-value.js';
import { Progress } from '../../lib/cli/progress.js';
import { WarningLogger } from '../../lib/cli/warning-logger.js';

describe('Values of sessions as JSON', () => {
  it.each<[unknown, unknown]>([
    [new Date(0), '1970-01-01T00:00:00.000Z'],
    [new Date(NaN), null],
    [12n, '12'],
    [Infinity, 'Infinity'],
    [new Map<unknown, unknown>([['a', new Set([1])]]), [['a', [1]]]],
    [Uint8Array.of(104, 105), 'aGk='],
    [{ list: [{ at: new Date(0) }] }, { list: [{ at: '1970-01-01T00:00:00.000Z' }] }],
  ])('%p becomes %p', (value, plain) => {
    expect(plainValue(value)).toEqual(plain);
  });

  it('keeps a key that is called __proto__', () => {
    expect(JSON.stringify(plainValue(JSON.parse('{"__proto__":{"a":1}}')))).toBe('{"__proto__":{"a":1}}');
  });
});

describe('What is printed', () => {
  it.each([
    ['a colour', '\u001b[31mred', '\\u001b[31mred'],
    ['a control of eight bits', '\u009b2J', '\\u009b2J'],
    ['a change of direction', 'gnp\u202e.exe', 'gnp\\u202e.exe'],
    ['a tag beyond the first plane', '\u{e0041}', '\\udb40\\udc41'],
    ['plain text', 'Zoë 😀 "x"', 'Zoë 😀 "x"'],
  ])('escapes what a terminal would obey: %s', (_what, text, shown) => {
    expect(harmless(text)).toBe(shown);
  });

  it('is the same JSON as before', () => {
    const value = { agent: '\u009b2J\u202e\u{e0041}\u001b' };
    expect(JSON.parse(harmless(JSON.stringify(value)))).toEqual(value);
  });
});

describe('Progress', () => {
  const during = async (isTTY: boolean, work: () => Promise<unknown>): Promise<string> => {
    const stream = Object.assign(new PassThrough(), { isTTY });
    await new Progress(stream, 20).during(() => 'half way', work);
    return String(stream.read() ?? '');
  };

  it('writes lines to a log', async () => {
    expect(await during(false, () => pause(150))).toMatch(/^(half way\n)+$/);
  });

  it('rewrites one line of a terminal, and clears it at the end', async () => {
    const written = await during(true, () => pause(350));
    expect(written).toContain('\r\u001b[Khalf way');
    expect(written.endsWith('\r\u001b[K')).toBe(true);
  });

  it('says nothing of what is done at once, and ends with what fails', async () => {
    expect(await during(true, async () => 1)).toBe('');
    await expect(during(false, () => Promise.reject(new Error('down')))).rejects.toThrow('down');
  });
});

describe('Warnings', () => {
  it('are passed on once each, if they are of this module', () => {
    const remarks: string[] = [];
    const logger = new WarningLogger((text) => remarks.push(text));
    logger.warn('unreadable', 'ServerSession');
    logger.warn('unreadable', 'ServerSession');
    logger.warn('of the application', 'Other');
    expect(remarks).toEqual(['unreadable']);
  });
});

describe('What is typed after a command', () => {
  const definitions = {
    json: { description: '' },
    module: { description: '', value: '<file>' },
    except: { description: '', value: '<handle>', multiple: true as const },
  };
  const DASHED = ['-h', '--', '-', '--json'].map((start) => start.padEnd(43, 'A'));

  it('may be handles that begin with a dash, beside options', () => {
    const parsed = parseArguments(['--json', ...DASHED, 'B'.repeat(43), '--module', 'app.js'], definitions, true);
    expect(parsed.options).toEqual({ json: true, module: 'app.js' });
    expect([...parsed.handles].sort()).toEqual([...DASHED, 'B'.repeat(43)].sort());
  });

  it('may be a handle that begins with a dash as the value of an option', () => {
    const args = DASHED.flatMap((handle) => ['--except', handle]);
    expect(parseArguments([...args, '--module=a=b'], definitions, false).options).toEqual({ except: DASHED, module: 'a=b' });
  });

  it.each([['--constructor'], ['--__proto__'], ['-x'], ['--jsn']])('is refused as an unknown option: %s', (option) => {
    expect(() => parseArguments([option], definitions, false)).toThrow(`unknown option '${option}'`);
  });
});
