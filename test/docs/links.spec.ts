import { describe, expect, it } from '@jest/globals';
import { readFile } from 'node:fs/promises';
import { dirname, join, normalize } from 'node:path';
import { ROOT } from '../package/paths.js';
import { PUBLISHED } from '../package/stage-package.js';
import { pages } from './code-blocks.js';

const REPOSITORY = 'https://github.com/nestjs-server-session/nestjs-server-session';

const ADDRESSES = [
  /^https:\/\/github\.com\/nestjs-server-session\/nestjs-server-session\/(?:blob|tree)\/main\/(.+)/,
  /^https:\/\/raw\.githubusercontent\.com\/nestjs-server-session\/nestjs-server-session\/main\/(.+)/,
];

/** A link or a picture of a page, outside of its code. */
interface Link {
  readonly page: string;
  readonly target: string;
}

const links = (await Promise.all((await pages()).map(linksOf))).flat();

describe('A link of README and docs', () => {
  it('to a file leads to one', async () => {
    const broken: string[] = [];
    for (const link of links) {
      const { page, target } = link;
      const file = fileOf(link);
      if (file === undefined) continue;
      const [, anchor] = target.split('#');
      const content = await readFile(join(ROOT, file), 'utf8').catch((error: NodeJS.ErrnoException) =>
        error.code === 'EISDIR' ? '' : undefined,
      );
      if (content === undefined || (anchor !== undefined && !anchorsOf(content).has(anchor))) broken.push(`${page}: ${target}`);
    }
    expect(broken).toEqual([]);
  });

  it('of what is published leads to a file that is published, or to the web', () => {
    const published = links.filter(({ page }) => page !== 'CONTRIBUTING.md').filter(isLocal);
    const missing = published.filter(({ page, target }) => {
      const file = normalize(join(dirname(page), target.split('#')[0] ?? ''));
      return !target.startsWith('#') && !PUBLISHED.some((name) => file === name || file.startsWith(`${name}/`));
    });
    expect(missing.map(({ page, target }) => `${page}: ${target} is no part of the tarball: write ${REPOSITORY}/blob/main/…`)).toEqual([]);
  });

  it('to the repository is the one of package.json', async () => {
    const { homepage, repository, bugs } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as Record<string, unknown>;
    expect({ homepage, repository, bugs }).toEqual({
      homepage: `${REPOSITORY}#readme`,
      repository: { type: 'git', url: `git+${REPOSITORY}.git` },
      bugs: { url: `${REPOSITORY}/issues` },
    });
    const elsewhere = links.filter(
      ({ target }) => /github\.com\/[^/]+\/nestjs-server-session/.test(target) && !target.startsWith(REPOSITORY),
    );
    expect(elsewhere).toEqual([]);
  });
});

async function linksOf(page: string): Promise<Link[]> {
  const content = await readFile(join(ROOT, page), 'utf8');
  const prose = content.replaceAll(/^( *)```[\s\S]*?^\1```/gm, '').replaceAll(/`[^`\n]*`/g, 'code');
  const targets = [...prose.matchAll(/\]\(([^)\s]+)\)|^\[[^\]]+\]:\s*(\S+)|(?:src|href|srcset)="([^"\s]+)"/gm)];
  return targets.map(([, inline, reference, attribute]) => ({ page, target: inline ?? reference ?? attribute ?? '' }));
}

/** The file of the project that a link leads to, by its path or by its address in the repository. */
function fileOf({ page, target }: Link): string | undefined {
  const [path = ''] = target.split('#');
  if (isLocal({ page, target })) return path === '' ? page : normalize(join(dirname(page), path));
  return ADDRESSES.map((address) => address.exec(path)?.[1]).find((file) => file !== undefined);
}

function isLocal({ target }: Link): boolean {
  return !/^[a-z]+:/i.test(target);
}

/** The anchors that GitHub gives to the headings of a page. */
function anchorsOf(content: string): Set<string> {
  const headings = [...content.matchAll(/^#{1,6} +(.+)$/gm)].map(([, title = '']) => title);
  const slugs = headings.map((title) =>
    title
      .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replaceAll(/\s/g, '-'),
  );
  return new Set(slugs);
}
