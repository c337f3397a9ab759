import { type Html, html } from '../../shared/html.js';
import type { Counts } from '../live-counts.service.js';
import type { User } from '../users.js';
import { layout } from './layout.js';

/** How many sessions there are: as of now, and by the script from then on. Without scripts, a link shows it anew. */
export function adminPage(user: User | undefined, { all, anonymous, users }: Counts): string {
  const body = html`<section aria-labelledby="counts">
      <h2 id="counts">Sessions</h2>
      <dl class="counts">
        ${count('all', 'in all', all)} ${Object.entries(users).map(([name, number]) => count(`user-${name}`, name, number))}
        ${count('anonymous', 'not signed in', anonymous)}
      </dl>
    </section>
    <p class="soft"><span id="state" role="status">As of when this page was loaded.</span> <a href="/admin">Count again</a></p>
    <script src="/admin/live-counts.js" defer></script>`;
  return layout({ title: 'Who is signed in', path: '/admin', user, body });
}

function count(id: string, label: string, number: number): Html {
  return html`<div>
    <dt>${label}</dt>
    <dd data-count="${id}">${number}</dd>
  </div>`;
}
