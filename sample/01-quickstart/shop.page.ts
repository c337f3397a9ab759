import type { FlashMessage } from 'nestjs-server-session';
import { type Html, html } from '../shared/html.js';
import { page } from '../shared/page.js';
import { PRODUCTS } from './products.js';
import { type CartLine, totalOf } from './shop.service.js';
import { STYLE } from './style.js';

export interface ShopPage {
  readonly user: string | undefined;
  readonly lines: readonly CartLine[];
  readonly messages: readonly FlashMessage[];
}

/** The whole page. */
export function shopPage({ user, lines, messages }: ShopPage): string {
  return page({
    title: 'Tea shop',
    style: STYLE,
    account: user === undefined ? logInForm() : logOutForm(user),
    body: html`<main>
        <div role="status">${messages.map(messageLine)}</div>
        <section aria-labelledby="products">
          <h2 id="products">Products</h2>
          <ul>
            ${PRODUCTS.map(
              ({ id, name, price }) =>
                html`<li>
                  <span>${name}</span> <span class="price">${money(price)}</span>
                  <form method="post" action="/cart">
                    <button name="product" value="${id}" aria-label="Add ${name} to the cart">Add</button>
                  </form>
                </li>`,
            )}
          </ul>
        </section>
        <section aria-labelledby="cart">
          <h2 id="cart">Your cart</h2>
          ${cart(lines)}
        </section>
      </main>
      <footer><p>Stop the server, start it again and reload: the cart is still here.</p></footer>`,
  });
}

function logInForm(): Html {
  return html`<form method="post" action="/login">
    <label for="name">Your name</label>
    <input id="name" name="name" required maxlength="40" autocomplete="username" />
    <button>Log in</button>
  </form>`;
}

function logOutForm(user: string): Html {
  return html`<form method="post" action="/logout">
    <span>Signed in as <strong>${user}</strong></span>
    <button>Sign out</button>
  </form>`;
}

function messageLine({ kind, message }: FlashMessage): Html {
  return html`<p class="message ${kind}">${String(message)}</p>`;
}

function cart(lines: readonly CartLine[]): Html {
  if (lines.length === 0) return html`<p>Nothing yet.</p>`;
  return html`<ul>
      ${lines.map(
        ({ product: { id, name, price }, quantity }) =>
          html`<li>
            <span>${quantity} × ${name}</span> <span class="price">${money(price * quantity)}</span>
            <form method="post" action="/cart/remove">
              <button name="product" value="${id}" aria-label="Remove ${name} from the cart">Remove</button>
            </form>
          </li>`,
      )}
    </ul>
    <p class="total">Total <strong>${money(totalOf(lines))}</strong></p>`;
}

function money(cents: number): string {
  return `€ ${(cents / 100).toFixed(2)}`;
}
