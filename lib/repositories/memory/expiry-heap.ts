/**
 * Slots in the order of their expiry, as a binary heap: the first to expire is at the top, and a slot that gets another expiry finds its new
 * place without a search. It takes 16 bytes a slot, and no object.
 */
export class ExpiryHeap {
  /** The heap: slots. */
  private slots = new Int32Array(0);
  /** Where each slot is in the heap. */
  private places = new Int32Array(0);
  private expiries = new Float64Array(0);
  private length = 0;

  grow(capacity: number): void {
    this.slots = enlarged(this.slots, new Int32Array(capacity));
    this.places = enlarged(this.places, new Int32Array(capacity));
    this.expiries = enlarged(this.expiries, new Float64Array(capacity));
  }

  /** The slot that expires first; undefined when there is none. */
  get first(): number | undefined {
    return this.length === 0 ? undefined : this.slots[0];
  }

  expiryOf(slot: number): number {
    return this.expiries[slot] as number;
  }

  add(slot: number, expiry: number): void {
    this.expiries[slot] = expiry;
    this.put(slot, this.length++);
    this.rise(slot);
  }

  change(slot: number, expiry: number): void {
    this.expiries[slot] = expiry;
    this.rise(slot);
    this.sink(slot);
  }

  remove(slot: number): void {
    const place = this.places[slot] as number;
    const last = this.slots[--this.length] as number;
    if (last === slot) return;
    this.put(last, place);
    this.rise(last);
    this.sink(last);
  }

  private rise(slot: number): void {
    const expiry = this.expiryOf(slot);
    let place = this.places[slot] as number;
    while (place > 0) {
      const above = (place - 1) >> 1;
      const other = this.slots[above] as number;
      if (this.expiryOf(other) <= expiry) break;
      this.put(other, place);
      place = above;
    }
    this.put(slot, place);
  }

  private sink(slot: number): void {
    const expiry = this.expiryOf(slot);
    let place = this.places[slot] as number;
    for (;;) {
      let below = 2 * place + 1;
      if (below >= this.length) break;
      let other = this.slots[below] as number;
      if (below + 1 < this.length && this.expiryOf(this.slots[below + 1] as number) < this.expiryOf(other)) {
        other = this.slots[++below] as number;
      }
      if (this.expiryOf(other) >= expiry) break;
      this.put(other, place);
      place = below;
    }
    this.put(slot, place);
  }

  private put(slot: number, place: number): void {
    this.slots[place] = slot;
    this.places[slot] = place;
  }
}

/** The larger array, with what was in the smaller one. */
export function enlarged<T extends Int32Array | Uint32Array | Uint16Array | Uint8Array | Float64Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
