import { MessageBody, type OnGatewayConnection, SubscribeMessage, WebSocketGateway, WebSocketServer } from '@nestjs/websockets';
import { OnSessionEvent, type ServerSession, Session, type SessionEvent, SessionService } from 'nestjs-server-session';
import type { Server, Socket } from 'socket.io';

interface Message {
  readonly name: string;
  readonly text: string;
}

/** The room of all who are signed in. Each session has a room of its own besides, named by its handle. */
const EVERYBODY = 'everybody';
/** So many of the last messages are kept, in the memory of this process. */
const KEPT = 50;
/** Characters in a message. */
const LONGEST = 500;

@WebSocketGateway()
export class ChatGateway implements OnGatewayConnection<Socket> {
  @WebSocketServer() private readonly server!: Server;
  private readonly messages: Message[] = [];

  constructor(private readonly sessions: SessionService) {}

  async handleConnection(client: Socket): Promise<void> {
    const { principal, handle } = await this.sessions.load(client);
    await client.join(handle);
    // The session may have ended while it was read, before its room had this socket: so look again.
    if (principal === undefined || (await this.sessions.get(handle)) === undefined) {
      client.disconnect();
      return;
    }
    await client.join(EVERYBODY);
    client.emit('messages', this.messages);
  }

  @SubscribeMessage('say')
  say(@Session() { principal }: ServerSession, @MessageBody() text: unknown): void {
    if (principal === undefined || typeof text !== 'string' || text.trim() === '' || text.length > LONGEST) return;
    const message = { name: principal, text: text.trim() };
    this.messages.push(message);
    if (this.messages.length > KEPT) this.messages.shift();
    this.server.to(EVERYBODY).emit('messages', [message]);
  }

  /** A session that has ended loses its sockets, in all tabs. So does one that has a new id, because somebody logged in. */
  @OnSessionEvent('destroyed', 'revoked', 'expired', 'regenerated')
  disconnect({ handle, previousHandle = handle }: SessionEvent): void {
    this.server.in(previousHandle).disconnectSockets();
  }
}
