import { html } from '../../shared/html.js';
import { layout } from './layout.js';

export function errorPage(message: string): string {
  const body = html`<p class="message problem" role="alert">${message}</p>
    <p><a href="/">To your devices</a></p>`;
  return layout({ title: 'That did not work', path: '/', user: undefined, body });
}
