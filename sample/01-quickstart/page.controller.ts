import { Body, Controller, Get, Header, HttpException, Post, Redirect } from '@nestjs/common';
import { type ServerSession, Session } from 'nestjs-server-session';
import { shopPage } from './shop.page.js';
import { ShopService } from './shop.service.js';

/**
 * The shop as one page, without scripts: each form posts, and is answered with a redirect back to the page.
 *
 * The forms need no token against forged requests: the cookie is `SameSite=Lax`, so a browser does not send it along with a
 * form that another site posts, and nothing here changes on GET.
 */
@Controller()
export class PageController {
  constructor(private readonly shop: ShopService) {}

  @Get()
  @Header('content-type', 'text/html; charset=utf-8')
  @Header('content-security-policy', "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'")
  @Header('cache-control', 'no-store')
  show(@Session() session: ServerSession): string {
    return shopPage({ user: session.principal, lines: this.shop.cart(session), messages: session.flashes() });
  }

  @Post('login')
  @Redirect('/', 303)
  async logIn(@Session() session: ServerSession, @Body('name') name: unknown): Promise<void> {
    await explain(session, () => this.shop.logIn(session, name));
  }

  @Post('cart')
  @Redirect('/', 303)
  async add(@Session() session: ServerSession, @Body('product') id: unknown): Promise<void> {
    await explain(session, () => this.shop.add(session, id));
  }

  @Post('cart/remove')
  @Redirect('/', 303)
  async remove(@Session() session: ServerSession, @Body('product') id: unknown): Promise<void> {
    await explain(session, () => this.shop.remove(session, id));
  }

  @Post('logout')
  @Redirect('/', 303)
  async logOut(@Session() session: ServerSession): Promise<void> {
    await this.shop.logOut(session);
  }
}

/** What a visitor got wrong is said on the page, not with an error page. */
async function explain(session: ServerSession, work: () => void | Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof HttpException) || error.getStatus() >= 500) throw error;
    session.flash('problem', error.message);
  }
}
