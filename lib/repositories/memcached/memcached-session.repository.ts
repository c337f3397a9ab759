import { UnreadableRecordError } from '../../errors.js';
import type { RepositoryContext } from '../repository.factory.js';
import { SessionRepository, type SessionRecord, type SessionVersion, type StoredRecord, type UpdateResult } from '../session-repository.js';
import { fromValue, fromVersion, keyFor, toValue, toVersion } from './memcached.item.js';
import type { MemcachedNode } from './memcached.node.js';
import { MemcachedNodes } from './memcached.nodes.js';

/** One item a session, with the session's lifetime as its own. Memcached cannot list, and so cannot this repository. */
export class MemcachedSessionRepository extends SessionRepository {
  private constructor(
    private readonly nodes: MemcachedNodes,
    private readonly prefix: string,
  ) {
    super();
  }

  /** @throws MissingPackageError when memcache-client is needed and not installed. */
  static async create({ options }: Pick<RepositoryContext, 'options'>): Promise<MemcachedSessionRepository> {
    return new MemcachedSessionRepository(await MemcachedNodes.open(options), options.keyPrefix);
  }

  override async create(handle: string, { payload }: SessionRecord, ttl: number): Promise<SessionVersion | undefined> {
    const { node, key } = this.locate(handle);
    const answer = await node.store('add', key, toValue(1, payload), ttl);
    if (answer === 'STORED') return toVersion(1);
    if (answer === 'NOT_STORED') return undefined;
    throw new Error(`Memcached answered '${answer}' to 'add'`);
  }

  override async read(handle: string, touch?: number): Promise<StoredRecord | undefined> {
    const { node, key } = this.locate(handle);
    const found = await node.retrieve(key, touch);
    if (found === undefined) return undefined;
    const stored = fromValue(found.value);
    if (stored === undefined) throw new UnreadableRecordError('its value was not written by a session repository');
    return { version: toVersion(stored.counter, found.token), payload: stored.payload };
  }

  override async update(handle: string, { payload }: SessionRecord, base: SessionVersion, ttl: number): Promise<UpdateResult> {
    const { node, key } = this.locate(handle);
    const state = await stateOf(node, key, base);
    if (state.token === undefined) return { status: state.status };
    const next = state.counter + 1;
    const answer = await node.store('cas', key, toValue(next, payload), ttl, state.token);
    if (answer === 'STORED') return { status: 'updated', version: toVersion(next) };
    if (answer === 'EXISTS') return { status: 'conflict' };
    if (answer === 'NOT_FOUND') return { status: 'gone' };
    throw new Error(`Memcached answered '${answer}' to 'cas'`);
  }

  override async delete(handle: string, base?: SessionVersion): Promise<boolean> {
    const { node, key } = this.locate(handle);
    if (base === undefined) return (await node.delete(key)) === 'DELETED';
    const { token } = await stateOf(node, key, base);
    return token !== undefined && node.deleteState(key, token);
  }

  override onModuleInit(): void {
    this.nodes.connect();
  }

  override onApplicationShutdown(): void {
    this.nodes.close();
  }

  private locate(handle: string): { node: MemcachedNode; key: string } {
    const key = keyFor(this.prefix, handle);
    return { node: this.nodes.of(key), key };
  }
}

type State = { readonly token: string; readonly counter: number } | { readonly token: undefined; readonly status: 'conflict' | 'gone' };

/** The `cas` token of the state that a version names, or why there is no such state. */
async function stateOf(node: MemcachedNode, key: string, version: SessionVersion): Promise<State> {
  const { counter, token } = fromVersion(version);
  if (token !== undefined) return { token, counter };
  // A version that a write returned: the token is asked for, and used if it still belongs to that version.
  const found = await node.retrieve(key);
  if (found === undefined) return { token: undefined, status: 'gone' };
  if (fromValue(found.value)?.counter !== counter) return { token: undefined, status: 'conflict' };
  return { token: found.token, counter };
}
