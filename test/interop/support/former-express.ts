import flash from 'connect-flash';
import express from 'express';
import session from 'express-session';
import type { AddressInfo } from 'node:net';
import { promisify } from 'node:util';
import passport from 'passport';
import { Strategy } from 'passport-local';

declare module 'express-session' {
  interface SessionData {
    cart?: string[];
    method?: unknown;
  }
}

/** Where both packages are imported, `req.session` has the type of ours. */
function sessionOf(request: express.Request): session.Session & Partial<session.SessionData> {
  return request.session as never;
}

/** A running application on express-session, Passport and connect-flash: the one that is to be replaced. */
export interface FormerExpress {
  readonly url: string;
  close(): Promise<void>;
}

export async function startFormerExpress(options: session.SessionOptions): Promise<FormerExpress> {
  const users = new passport.Passport();
  users.use(new Strategy((name, _password, done) => done(null, { name })));
  users.serializeUser((user, done) => done(null, (user as { name: string }).name));
  users.deserializeUser((name: string, done) => done(null, { name }));

  const app = express();
  app.use(session({ resave: false, saveUninitialized: false, ...options }), flash(), users.initialize(), users.session());
  app.use(express.json());
  app.post('/login', users.authenticate('local', { keepSessionInfo: true }), (_request, response) => void response.json({}));
  app.get('/me', (request, response) => void response.json({ user: request.user ?? null, cart: sessionOf(request).cart ?? [] }));
  app.post('/cart/:item', (request, response) => {
    const theirs = sessionOf(request);
    theirs.cart = [...(theirs.cart ?? []), request.params.item];
    request.flash('info', `added ${request.params.item}`);
    response.json(theirs.cart);
  });
  app.post('/data', (request, response) => {
    Object.assign(request.session, request.body);
    response.json({});
  });

  const server = app.listen(0, '127.0.0.1');
  await new Promise((resolve, reject) => server.once('listening', resolve).once('error', reject));
  const close = promisify(server.close.bind(server));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () => {
      server.closeAllConnections();
      return close();
    },
  };
}
