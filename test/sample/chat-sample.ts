import { join } from 'node:path';
import { RunningProcess } from '../package/running-process.js';

/** The sample of a chat in a process of its own, on a free port. */
export class ChatSample {
  private constructor(
    readonly process: RunningProcess,
    readonly url: string,
  ) {}

  static async open(samples: string, cwd: string, env: Readonly<Record<string, string>>): Promise<ChatSample> {
    const process = RunningProcess.start(join(samples, '03-chat/main.js'), { PORT: '0', ...env }, cwd);
    const [, port] = await process.printed(/Chat: http:\/\/localhost:(\d+)[^]*at once/);
    return new ChatSample(process, `http://127.0.0.1:${port}`);
  }

  close(): Promise<void> {
    return this.process.stop();
  }
}
