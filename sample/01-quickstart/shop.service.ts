import { BadRequestException, Injectable, NotFoundException } from '@nestjs/common';
import type { ServerSession } from 'nestjs-server-session';
import { findProduct, type Product } from './products.js';
import type { Cart } from './session-data.js';

export interface CartLine {
  readonly product: Product;
  readonly quantity: number;
}

/** What one can do in the shop. Everything it remembers is in the session that it is given. */
@Injectable()
export class ShopService {
  /** A real application checks a password here. */
  async logIn(session: ServerSession, name: unknown): Promise<void> {
    if (typeof name !== 'string' || name.trim() === '' || name.length > 40)
      throw new BadRequestException('Give a name of 1 to 40 characters.');
    // Whoever knew the id from before the log-in does not have a session that is logged in now.
    await session.regenerate();
    session.principal = name.trim();
    session.flash('notice', `Welcome, ${session.principal}.`);
  }

  /** Ends the session; the farewell is the first thing in a new one, with a new id. */
  async logOut(session: ServerSession): Promise<void> {
    await session.destroy();
    session.flash('notice', 'You are signed out.');
  }

  add(session: ServerSession, id: unknown): void {
    const product = findProduct(id);
    if (product === undefined) throw new NotFoundException('There is no such product.');
    const cart: Cart = (session.cart ??= new Map());
    cart.set(product.id, (cart.get(product.id) ?? 0) + 1);
    session.flash('notice', `${product.name} is in your cart.`);
  }

  remove(session: ServerSession, id: unknown): void {
    const product = findProduct(id);
    if (product === undefined || session.cart?.delete(product.id) !== true) throw new NotFoundException('That is not in your cart.');
    session.flash('notice', `${product.name} is out of your cart.`);
  }

  cart(session: ServerSession): CartLine[] {
    return Array.from(session.cart ?? [], ([id, quantity]) => ({ product: findProduct(id), quantity })).filter(
      (line): line is CartLine => line.product !== undefined,
    );
  }
}

export function totalOf(lines: readonly CartLine[]): number {
  return lines.reduce((total, { product, quantity }) => total + product.price * quantity, 0);
}
