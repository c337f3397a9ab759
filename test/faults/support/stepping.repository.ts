import { type SessionRecord, SessionRepository, type StoredRecord, type UpdateResult } from 'nestjs-server-session';
import { MemorySessionRepository } from '../../../lib/repositories/memory/memory-session.repository.js';

export type Command = 'create' | 'read' | 'update' | 'delete';

/** Called around each command; what it returns is waited for. */
export type Step = (command: Command, handle: string) => void | Promise<void>;

/** A store in memory whose every command can be stopped before it happens and before its answer arrives. */
export class SteppingRepository extends SessionRepository {
  readonly memory = new MemorySessionRepository();
  /** A fault that many session stores have: an update of what is gone brings it back. */
  updateInserts = false;
  before: Step = () => undefined;
  after: Step = () => undefined;

  override create(handle: string, record: SessionRecord, ttl: number): Promise<string | undefined> {
    return this.step('create', handle, () => this.memory.create(handle, record, ttl));
  }

  override read(handle: string, touch?: number): Promise<StoredRecord | undefined> {
    return this.step('read', handle, () => this.memory.read(handle, touch));
  }

  override update(handle: string, record: SessionRecord, base: string, ttl: number): Promise<UpdateResult> {
    return this.step('update', handle, async () => {
      const result = await this.memory.update(handle, record, base, ttl);
      if (result.status !== 'gone' || !this.updateInserts) return result;
      return { status: 'updated', version: (await this.memory.create(handle, record, ttl)) ?? base };
    });
  }

  override delete(handle: string, base?: string): Promise<boolean> {
    return this.step('delete', handle, () => this.memory.delete(handle, base));
  }

  /** Does `meanwhile` once, right before the next such command: at the moment where a race is lost. */
  interleave(command: Command, meanwhile: () => Promise<unknown>): void {
    this.before = async (current) => {
      if (current !== command) return;
      this.before = () => undefined;
      await meanwhile();
    };
  }

  private async step<T>(command: Command, handle: string, work: () => Promise<T>): Promise<T> {
    await this.before(command, handle);
    const result = await work();
    await this.after(command, handle);
    return result;
  }
}
