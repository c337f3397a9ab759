import type { FlashMessage } from 'nestjs-server-session';
import { html } from '../../shared/html.js';
import { HINTS } from '../users.js';
import { layout } from './layout.js';

export function logInPage(messages: readonly FlashMessage[]): string {
  const body = html`<h2 id="sign-in">Who are you?</h2>
    <form class="sign-in" method="post" action="/login" aria-labelledby="sign-in">
      <div>
        <label for="name">Name</label>
        <input id="name" name="name" required autocomplete="username" autocapitalize="none" spellcheck="false" />
      </div>
      <div>
        <label for="password">Password</label>
        <input id="password" name="password" type="password" required autocomplete="current-password" />
      </div>
      <button>Sign in</button>
    </form>
    <h2>To try it</h2>
    <ul>
      ${HINTS.map(([name, password]) => html`<li>Name <code>${name}</code>, password <code>${password}</code></li>`)}
    </ul>`;
  return layout({ title: 'Sign in', path: '/', user: undefined, messages, body });
}
