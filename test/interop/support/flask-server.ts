import { resolve } from 'node:path';
import { freePort } from '../../servers/free-port.js';
import { untilReady } from '../../servers/ready.js';
import { ServerProcess } from '../../servers/server-process.js';
import { makeTempFolder } from '../../servers/temp-folder.js';
import { pythonWith } from './python.js';

const PROGRAM = resolve('test/interop/support/flask_application.py');

/** Keys of Flask's configuration. Servers are given by their URL, which the application makes a client of. */
export type FlaskConfig = Readonly<Record<string, string | number | boolean>>;

/** The application of the reference's manual, on the reference itself: Debian's python3-flask-session. */
export class FlaskServer {
  private constructor(
    private readonly process: ServerProcess,
    readonly url: string,
    /** Its working folder. */
    readonly folder: string,
  ) {}

  static async start(config: FlaskConfig): Promise<FlaskServer> {
    const modules = ['flask_session', ...(MODULES[String(config['SESSION_TYPE'])] ?? [])];
    const python = await pythonWith(...modules);
    const folder = await makeTempFolder('flask');
    const port = await freePort();
    const server = new ServerProcess({
      command: python,
      args: [PROGRAM, String(port), JSON.stringify(config)],
      folder,
      user: undefined,
      shutdownSignal: 'SIGTERM',
      discardSignal: 'SIGKILL',
    });
    server.start();
    const url = `http://127.0.0.1:${port}`;
    try {
      await untilReady('Flask', server, async () => {
        const response = await fetch(`${url}/ready`);
        if (!response.ok) throw new Error(`Flask answers ${response.status}`);
      });
    } catch (error) {
      await server.discard();
      throw error;
    }
    return new FlaskServer(server, url, folder);
  }

  stop(): Promise<void> {
    return this.process.discard();
  }
}

const MODULES: Readonly<Record<string, readonly string[]>> = {
  redis: ['redis'],
  memcached: ['memcache'],
  mongodb: ['pymongo'],
  sqlalchemy: ['flask_sqlalchemy'],
};
