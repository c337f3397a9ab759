import { openRepository } from './typeorm-bench.js';

/** A process of its own, in whatever time zone `TZ` says: keeps one session, and tells how it found it. */
const { url, handle, ttl } = JSON.parse(process.argv[2] ?? '{}') as { url: string; handle: string; ttl: number };
const repository = await openRepository({ url }, { storeTimeout: '15s' });
await repository.create(handle, { payload: Buffer.from('from a child') }, ttl);
const found = await repository.read(handle);
await repository.onApplicationShutdown();
process.send?.({ remaining: found?.remaining, offset: new Date(2026, 6, 1).getTimezoneOffset() }, () => process.disconnect?.());
