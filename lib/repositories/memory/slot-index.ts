const FIRST_PLACES = 64;
/** At most so many of the places are taken. */
const LOAD = 0.8;

/** Finds slots by a hash: open addressing, four to eight bytes a slot. */
export class SlotIndex {
  /** Slots, plus one; 0 where there is none. A slot that finds its place taken is in one of the next. */
  private places = new Int32Array(FIRST_PLACES);
  private count = 0;

  /** @param hashAt the hash of a slot that is in the index. */
  constructor(private readonly hashAt: (slot: number) => number) {}

  /** The slot that has this hash and is the right one, or -1. */
  find(hash: number, isRight: (slot: number) => boolean): number {
    const mask = this.places.length - 1;
    for (let place = hash & mask; ; place = (place + 1) & mask) {
      const slot = (this.places[place] as number) - 1;
      if (slot === -1 || isRight(slot)) return slot;
    }
  }

  add(slot: number): void {
    if (++this.count > LOAD * this.places.length) this.grow();
    this.put(slot);
  }

  /** Puts a slot in the place of another that has the same hash. */
  replace(slot: number, by: number): void {
    this.places[this.placeOf(slot)] = by + 1;
  }

  /** Moves the slots behind it up, where they may be: a search ends at the first empty place. */
  remove(slot: number): void {
    const mask = this.places.length - 1;
    let hole = this.placeOf(slot);
    for (let place = (hole + 1) & mask; this.places[place] !== 0; place = (place + 1) & mask) {
      const wanted = this.hashAt((this.places[place] as number) - 1) & mask;
      // A slot cannot go before the place that it wants.
      if (((place - wanted) & mask) < ((place - hole) & mask)) continue;
      this.places[hole] = this.places[place] as number;
      hole = place;
    }
    this.places[hole] = 0;
    this.count--;
  }

  private placeOf(slot: number): number {
    const mask = this.places.length - 1;
    let place = this.hashAt(slot) & mask;
    while (this.places[place] !== slot + 1) place = (place + 1) & mask;
    return place;
  }

  private put(slot: number): void {
    const mask = this.places.length - 1;
    let place = this.hashAt(slot) & mask;
    while (this.places[place] !== 0) place = (place + 1) & mask;
    this.places[place] = slot + 1;
  }

  private grow(): void {
    const before = this.places;
    this.places = new Int32Array(2 * before.length);
    for (const taken of before) if (taken !== 0) this.put(taken - 1);
  }
}
