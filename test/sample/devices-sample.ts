import { join } from 'node:path';
import { RunningProcess } from '../package/running-process.js';

/** The sample of devices in a process of its own, on a free port. */
export class DevicesSample {
  private constructor(
    readonly process: RunningProcess,
    readonly url: string,
  ) {}

  static async open(samples: string, cwd: string, env: Readonly<Record<string, string>>): Promise<DevicesSample> {
    const process = RunningProcess.start(join(samples, '02-devices/main.js'), { PORT: '0', ...env }, cwd);
    const [, port] = await process.printed(/Your devices: http:\/\/localhost:(\d+)[^]*\/admin/);
    return new DevicesSample(process, `http://127.0.0.1:${port}`);
  }

  close(): Promise<void> {
    return this.process.stop();
  }
}
