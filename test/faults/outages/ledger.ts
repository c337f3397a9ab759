/** What one client knows about its session: which values were acknowledged, and which may or may not have been stored. */
export class Ledger {
  private readonly keys = new Map<string, { acknowledged: string | undefined; unknown: Set<string> }>();
  acknowledged = 0;
  failed = 0;

  /** The server said that it was stored. */
  acknowledge(key: string, value: string): void {
    this.acknowledged++;
    this.keys.set(key, { acknowledged: value, unknown: new Set() });
  }

  /** The server said that it failed, or nothing at all: it may have been stored all the same. */
  doubt(key: string, value: string): void {
    this.failed++;
    const entry = this.keys.get(key);
    if (entry === undefined) this.keys.set(key, { acknowledged: undefined, unknown: new Set([value]) });
    else entry.unknown.add(value);
  }

  /** The keys whose acknowledged value is neither there nor replaced by a later attempt. */
  missingIn(data: Record<string, unknown>): string[] {
    return Array.from(this.keys).flatMap(([key, { acknowledged, unknown }]) => {
      const found = data[key];
      const isKept = found === acknowledged || (typeof found === 'string' && unknown.has(found));
      return isKept ? [] : [key];
    });
  }

  /** How many keys have an acknowledged value. */
  get size(): number {
    return [...this.keys.values()].filter(({ acknowledged }) => acknowledged !== undefined).length;
  }

  /** The session is gone, as the server says: what comes is another one. */
  clear(): void {
    this.keys.clear();
  }
}
