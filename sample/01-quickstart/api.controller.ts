import { Body, Controller, Delete, Get, HttpCode, Param, Post } from '@nestjs/common';
import { type ServerSession, Session } from 'nestjs-server-session';
import { ShopService, totalOf } from './shop.service.js';

/** What the session holds, for a client that is a program. */
interface ShopState {
  readonly user: string | null;
  readonly cart: Record<string, number>;
  readonly total: number;
  readonly messages: string[];
}

/** The shop as JSON. */
@Controller('api')
export class ApiController {
  constructor(private readonly shop: ShopService) {}

  @Get('shop')
  show(@Session() session: ServerSession): ShopState {
    const lines = this.shop.cart(session);
    return {
      user: session.principal ?? null,
      cart: Object.fromEntries(lines.map(({ product, quantity }) => [product.id, quantity])),
      total: totalOf(lines),
      messages: session.flashes<string>('notice'),
    };
  }

  @Post('login')
  @HttpCode(204)
  async logIn(@Session() session: ServerSession, @Body('name') name: unknown): Promise<void> {
    await this.shop.logIn(session, name);
  }

  @Post('cart')
  @HttpCode(204)
  add(@Session() session: ServerSession, @Body('product') id: unknown): void {
    this.shop.add(session, id);
  }

  @Delete('cart/:product')
  @HttpCode(204)
  remove(@Session() session: ServerSession, @Param('product') id: string): void {
    this.shop.remove(session, id);
  }

  @Post('logout')
  @HttpCode(204)
  async logOut(@Session() session: ServerSession): Promise<void> {
    await this.shop.logOut(session);
  }
}
