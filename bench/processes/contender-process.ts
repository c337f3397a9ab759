import type { ContenderReport, ContenderSetup } from '../contenders/main.js';
import { ServiceProcess } from './service-process.js';

type Usage = Exclude<ContenderReport, { port: number }>;

/** A contender in a process of its own. */
export class ContenderProcess {
  private constructor(
    readonly name: string,
    private readonly process: ServiceProcess<{ port: number }, object, Usage>,
  ) {}

  static async start(setup: ContenderSetup, execArgv: string[] = []): Promise<ContenderProcess> {
    return new ContenderProcess(setup.contender, await ServiceProcess.start('contenders/main.js', setup, execArgv));
  }

  get port(): number {
    return this.process.hello.port;
  }

  /** What the process has used until now. */
  usage(): Promise<Usage> {
    return this.process.ask({});
  }

  stop(): Promise<void> {
    return this.process.stop();
  }
}
