import type { SessionRecord, SessionRepository, StoredRecord } from '../../lib/repositories/session-repository.js';
import { FilesystemSessionRepository } from '../../lib/repositories/filesystem/filesystem-session.repository.js';
import type { FilesystemTask } from './filesystem-task.js';

const LONG = 600_000;

async function increment(repository: SessionRepository, handle: string, write: (n: number) => SessionRecord): Promise<number> {
  for (;;) {
    const found = await repository.read(handle);
    if (found === undefined) throw new Error('the session is gone');
    const next = counterOf(found) + 1;
    const { status } = await repository.update(handle, write(next), found.version, LONG);
    if (status === 'updated') return next;
    if (status === 'gone') throw new Error('the session is gone');
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 5));
  }
}

function counterOf({ payload }: StoredRecord): number {
  return Number.parseInt(Buffer.from(payload).toString(), 10);
}

function report(message: unknown): Promise<void> {
  return new Promise((resolve) => process.send?.(message, () => resolve()));
}

/** What an operation comes to, as something that can be sent. */
async function outcome(operation: Promise<unknown>): Promise<string> {
  return operation.then(
    (value) => (value === undefined ? 'absent' : typeof value === 'string' ? value : 'done'),
    (error: NodeJS.ErrnoException) => error.code ?? error.name,
  );
}

async function run(task: FilesystemTask): Promise<void> {
  const threshold = task.do === 'create' ? task.threshold : 0;
  const repository = new FilesystemSessionRepository({ dir: task.dir, threshold }, { keyPrefix: 'session:' });
  switch (task.do) {
    case 'increment': {
      for (let count = 0; count < task.times; count++)
        await increment(repository, task.handle, (n) => ({ payload: Buffer.from(String(n)) }));
      return;
    }
    case 'create': {
      for (let index = 0; index < task.times; index++)
        await repository.create(`${task.name}-${index}`, { payload: Buffer.alloc(10) }, LONG);
      return;
    }
    case 'write-until-killed': {
      for (let index = 0; ; index++) {
        const handle = task.handles[index % task.handles.length] ?? '';
        const n = await increment(repository, handle, (next) => ({ payload: Buffer.from(`${next} ${'x'.repeat(20_000)} ${next}`) }));
        await report([handle, n]);
        const created = `${task.name}-${index}`;
        await repository.create(created, { payload: Buffer.from(`0 ${'x'.repeat(20_000)} 0`) }, LONG);
        await report([created, 0]);
      }
    }
    case 'try': {
      // With the code loaded, rights can be given up; a clone may be where nobody else may read.
      if (task.uid !== undefined && process.getuid?.() === 0) process.setuid?.(task.uid);
      const base = '1';
      const payload = Buffer.alloc(task.bytes, 'y');
      await report({
        read: await outcome(repository.read(task.handle)),
        create: await outcome(repository.create(`${task.handle}-new`, { payload }, LONG)),
        update: await outcome(repository.update(task.handle, { payload }, base, LONG).then(({ status }) => status)),
        count: await outcome(repository.count({})),
        delete: task.uid === undefined ? undefined : await outcome(repository.delete(task.handle)),
      });
    }
  }
}

await run(JSON.parse(process.argv[2] ?? '{}') as FilesystemTask);
process.disconnect?.();
