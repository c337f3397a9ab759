import { SessionRepository, type SessionRecord, type StoredRecord, type UpdateResult } from 'nestjs-server-session';

interface Entry {
  readonly record: StoredRecord;
  readonly expiresAt: number;
}

/** A repository as an application may write one of its own: sessions in a Map. */
export class MapRepository extends SessionRepository {
  private readonly entries = new Map<string, Entry>();
  private issued = 0;

  override async create(handle: string, record: SessionRecord, ttl: number): Promise<string | undefined> {
    return this.find(handle) === undefined ? this.put(handle, record, ttl) : undefined;
  }

  override async read(handle: string, touch?: number): Promise<StoredRecord | undefined> {
    const found = this.find(handle);
    if (found !== undefined && touch !== undefined) this.entries.set(handle, { ...found, expiresAt: Date.now() + touch });
    // Bytes that are the caller's own.
    return found && { ...found.record, payload: Uint8Array.from(found.record.payload) };
  }

  override async update(handle: string, record: SessionRecord, base: string, ttl: number): Promise<UpdateResult> {
    const found = this.find(handle);
    if (found === undefined) return { status: 'gone' };
    if (found.record.version !== base) return { status: 'conflict' };
    return { status: 'updated', version: this.put(handle, record, ttl) };
  }

  override async delete(handle: string, base?: string): Promise<boolean> {
    const found = this.find(handle);
    if (found === undefined || (base !== undefined && found.record.version !== base)) return false;
    return this.entries.delete(handle);
  }

  private put(handle: string, { payload, principal }: SessionRecord, ttl: number): string {
    const version = String(++this.issued);
    this.entries.set(handle, { record: { payload: Uint8Array.from(payload), principal, version }, expiresAt: Date.now() + ttl });
    return version;
  }

  private find(handle: string): Entry | undefined {
    const found = this.entries.get(handle);
    return found !== undefined && found.expiresAt > Date.now() ? found : undefined;
  }
}
