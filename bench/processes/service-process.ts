import { type ChildProcess, fork } from 'node:child_process';
import { scriptPath } from '../paths.js';

/** A script in a process of its own, which says hello when it is ready and then answers one question at a time. */
export class ServiceProcess<Hello, Question extends object, Answer> {
  private constructor(
    private readonly name: string,
    private readonly child: ChildProcess,
    readonly hello: Hello,
  ) {}

  /** @param task what the script is told to do: its only argument, as JSON. */
  static async start<Hello, Question extends object, Answer>(
    script: string,
    task: object,
    execArgv: string[] = [],
  ): Promise<ServiceProcess<Hello, Question, Answer>> {
    const child = fork(scriptPath(script), [JSON.stringify(task)], {
      execArgv,
      env: { ...process.env, NODE_ENV: 'production' },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    const hello = await nextMessage<Hello>(child, script);
    return new ServiceProcess(script, child, hello);
  }

  /** @throws when the process ends instead of answering, or answers with an error. */
  async ask(question: Question): Promise<Answer> {
    const answer = nextMessage<Answer | { error: string }>(this.child, this.name);
    this.child.send(question);
    const content = await answer;
    if (isFailure(content)) throw new Error(`${this.name}: ${content.error}`);
    return content;
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    await new Promise((resolve) => {
      this.child.once('exit', resolve);
      this.child.kill('SIGKILL');
    });
  }
}

function nextMessage<T>(child: ChildProcess, name: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null): void => {
      child.off('message', onMessage);
      reject(new Error(`${name} ended with code ${code} instead of answering`));
    };
    const onMessage = (message: unknown): void => {
      child.off('exit', onExit);
      resolve(message as T);
    };
    child.once('message', onMessage);
    child.once('exit', onExit);
  });
}

function isFailure(answer: unknown): answer is { error: string } {
  return typeof answer === 'object' && answer !== null && 'error' in answer;
}
