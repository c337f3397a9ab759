import type { FlashMessage } from 'nestjs-server-session';
import { type Html, html } from '../../shared/html.js';
import type { Device } from '../devices.service.js';
import type { User } from '../users.js';
import { layout } from './layout.js';

export interface DevicesPage {
  readonly user: User;
  readonly devices: readonly Device[];
  readonly messages: readonly FlashMessage[];
  readonly now: Date;
}

/** Where a user is signed in. */
export function devicesPage({ user, devices, messages, now }: DevicesPage): string {
  const others = devices.filter(({ isThis }) => !isThis).length;
  const body = html`<p>
      ${
        others === 0
          ? 'You are signed in on this device only.'
          : `You are signed in on ${devices.length} devices. Is there one you do not know? Sign it out, and change your password.`
      }
    </p>
    <ul class="devices">
      ${devices.map((device) => deviceCard(device, now))}
    </ul>
    ${others === 0 ? '' : signOutOthers}`;
  return layout({ title: 'Your devices', path: '/', user, messages, body });
}

const signOutOthers = html`<form method="post" action="/devices/sign-out-others">
  <button>Sign out everywhere else</button>
</form>`;

function deviceCard({ handle, name, address, signedInAt, lastUsedAt, isThis }: Device, now: Date): Html {
  return html`<li class="device ${isThis ? 'this' : ''}">
    <div>
      <h2>${name}</h2>
      ${isThis ? html`<p class="soft mark">This device</p>` : ''}
      <p class="soft facts">
        <span>${address}</span> <span>used ${time(lastUsedAt, now)}</span> <span>signed in ${time(signedInAt, now)}</span>
      </p>
    </div>
    ${
      isThis
        ? ''
        : html`<form method="post" action="/devices/sign-out">
            <button class="danger" name="handle" value="${handle}" aria-label="Sign out this one: ${name}, used ${ago(lastUsedAt, now)}">
              Sign out this one
            </button>
          </form>`
    }
  </li>`;
}

function time(date: Date, now: Date): Html {
  return html`<time datetime="${date.toISOString()}">${ago(date, now)}</time>`;
}

const UNITS: readonly (readonly [Intl.RelativeTimeFormatUnit, number])[] = [
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
];
const FORMAT = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });

/** As in "3 minutes ago", which is the same in every time zone. */
function ago(date: Date, now: Date): string {
  const seconds = (now.getTime() - date.getTime()) / 1000;
  const [unit, size] = UNITS.find(([, length]) => seconds >= length) ?? [];
  return unit === undefined || size === undefined ? 'just now' : FORMAT.format(-Math.floor(seconds / size), unit);
}
