import { join } from 'node:path';
import { Browser } from '../e2e/browser.js';
import { RunningProcess } from '../package/running-process.js';

/** The sample application in a process of its own, on a free port. */
export class Shop {
  private constructor(
    readonly process: RunningProcess,
    readonly url: string,
  ) {}

  static async open(samples: string, cwd: string, env: Readonly<Record<string, string>>): Promise<Shop> {
    const process = RunningProcess.start(join(samples, '01-quickstart/main.js'), { PORT: '0', ...env }, cwd);
    const [, port] = await process.printed(/The shop is open at http:\/\/localhost:(\d+)[^]*api\/logout/);
    return new Shop(process, `http://127.0.0.1:${port}`);
  }

  /** A visitor; with the cookies of another one, if given. */
  visitor(cookies?: Browser): Browser {
    const browser = new Browser(this.url);
    for (const [name, value] of cookies?.jar ?? []) browser.jar.set(name, value);
    return browser;
  }

  close(): Promise<void> {
    return this.process.stop();
  }
}
