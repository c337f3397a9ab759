import { setTimeout as sleep } from 'node:timers/promises';
import { MemorySessionRepository } from '../../lib/repositories/memory/memory-session.repository.js';
import { SessionRepository, type SessionRecord, type StoredRecord, type UpdateResult } from 'nestjs-server-session';

type Operation = 'create' | 'read' | 'update' | 'delete';

/** A repository that counts its calls, and can be slow or broken. */
export class RecordingRepository extends SessionRepository {
  calls: Operation[] = [];
  /** Milliseconds that each operation takes before it is done. */
  latency = 0;
  /** Operations that fail. */
  broken = new Set<Operation>();
  /** Operations that never end. */
  hanging = new Set<Operation>();
  underWay = 0;

  readonly memory = new MemorySessionRepository();

  override create(handle: string, record: SessionRecord, ttl: number): Promise<string | undefined> {
    return this.record('create', () => this.memory.create(handle, record, ttl));
  }

  override read(handle: string, touch?: number): Promise<StoredRecord | undefined> {
    return this.record('read', () => this.memory.read(handle, touch));
  }

  override update(handle: string, record: SessionRecord, base: string, ttl: number): Promise<UpdateResult> {
    return this.record('update', () => this.memory.update(handle, record, base, ttl));
  }

  override delete(handle: string): Promise<boolean> {
    return this.record('delete', () => this.memory.delete(handle));
  }

  private async record<T>(operation: Operation, work: () => Promise<T>): Promise<T> {
    this.calls.push(operation);
    this.underWay++;
    try {
      if (this.latency > 0) await sleep(this.latency);
      if (this.hanging.has(operation)) await new Promise(() => undefined);
      if (this.broken.has(operation)) throw new Error('the disk is on fire');
      return await work();
    } finally {
      this.underWay--;
    }
  }
}
