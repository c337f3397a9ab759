import type { FlashMessage } from 'nestjs-server-session';
import { type Html, html } from '../shared/html.js';
import { page } from '../shared/page.js';
import { STYLE } from './style.js';

export function logInPage(messages: readonly FlashMessage[]): string {
  return layout(
    '',
    html`<div role="status">${messages.map(({ kind, message }) => html`<p class="message ${kind}">${String(message)}</p>`)}</div>
      <form class="sign-in" method="post" action="/login">
        <label for="name">Your name</label>
        <input id="name" name="name" required maxlength="40" autocomplete="username" />
        <label class="tick"><input type="checkbox" name="remember" /> Remember me for 30 days</label>
        <button>Sign in</button>
      </form>`,
  );
}

export function chatPage(name: string): string {
  return layout(
    html`<form method="post" action="/logout">
      <span class="who">Signed in as <strong>${name}</strong></span>
      <button>Sign out</button>
      <button class="quiet" formaction="/logout-everywhere">Sign out everywhere</button>
    </form>`,
    html`<ol id="messages" role="log" aria-label="Messages" tabindex="0"></ol>
      <form id="say">
        <label class="hidden" for="text">Message</label>
        <input id="text" name="text" required maxlength="500" autocomplete="off" placeholder="Say something" />
        <button name="send" disabled>Send</button>
      </form>
      <p id="state" role="status">Connecting…</p>
      <noscript><p class="message problem">The chat needs JavaScript.</p></noscript>
      <script src="/socket.io/socket.io.js"></script>
      <script src="/chat.js"></script>`,
  );
}

function layout(account: Html | string, body: Html): string {
  return page({ title: 'Chat', style: STYLE, account, body: html`<main>${body}</main>` });
}
