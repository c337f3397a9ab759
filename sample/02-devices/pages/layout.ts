import type { FlashMessage } from 'nestjs-server-session';
import { type Html, html } from '../../shared/html.js';
import { page } from '../../shared/page.js';
import { STYLE } from '../style.js';
import type { User } from '../users.js';

/** Scripts from this server only; nothing from elsewhere, and no other site may show the pages in a frame. */
export const CONTENT_SECURITY =
  "default-src 'none'; style-src 'unsafe-inline'; script-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

export interface Layout {
  readonly title: string;
  readonly path: '/' | '/admin';
  readonly user: User | undefined;
  readonly messages?: readonly FlashMessage[];
  readonly body: Html;
}

/** What all pages have around them. */
export function layout({ title, path, user, messages = [], body }: Layout): string {
  return page({
    title,
    style: STYLE,
    account: user === undefined ? '' : logOutForm(user),
    body: html`${user?.isAdministrator ? navigation(path) : ''}
      <main>
        <div role="status">${messages.map(messageLine)}</div>
        ${body}
      </main>`,
  });
}

function logOutForm({ name }: User): Html {
  return html`<form method="post" action="/logout">
    <p>Signed in as <strong>${name}</strong></p>
    <button class="quiet">Sign out</button>
  </form>`;
}

function navigation(path: Layout['path']): Html {
  const link = (to: Layout['path'], text: string): Html =>
    html`<li><a href="${to}" ${to === path ? html`aria-current="page"` : ''}>${text}</a></li>`;
  return html`<nav aria-label="Pages">
    <ul>
      ${link('/', 'Your devices')}${link('/admin', 'Who is signed in')}
    </ul>
  </nav>`;
}

function messageLine({ kind, message }: FlashMessage): Html {
  return html`<p class="message ${kind}">${String(message)}</p>`;
}
