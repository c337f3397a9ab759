/** How many of which product, in the order in which they were put in. */
export type Cart = Map<string, number>;

/** What this application keeps of a session. From here on `session.cart` is typed everywhere. */
declare module 'nestjs-server-session' {
  interface SessionData {
    cart?: Cart;
  }
}
