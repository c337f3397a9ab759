import { randomBytes } from 'node:crypto';

/** No slot. */
export const NONE = -1;
const FIRST_CAPACITY = 64;
const FIRST_PLACES = 64;
/** At most so many of the places of an index are taken. */
const LOAD = 0.8;
const PRINTABLE = /^[ -~]*$/;
/** Bytes are made into strings in here. */
let scratch = Buffer.allocUnsafeSlow(4_096);

/**
 * Sessions in slots: each has a number, and what is known about it stands at that number in several arrays.
 *
 * That is because objects are dear: a `Map` with an object and a `Uint8Array` for each session takes about 450 bytes besides the bytes of
 * the session, and this table 130. The bytes are kept as a string of one byte a character, the payload, the principal and the handle one
 * after the other: such a string takes 16 bytes besides its own, and a `Uint8Array` about 250.
 */
export class SessionTable {
  private contents: (string | undefined)[] = [];
  private keyLengths = new Uint8Array(0);
  private principalLengths = new Uint16Array(0);
  private hashes = new Int32Array(0);
  private versions = new Uint32Array(0);
  /** When a slot got its principal, counted in such events: the order of a listing. From the highest number it goes on with the lowest. */
  private sequences = new Int32Array(0);
  private lastSequence = 0;
  private readonly expiries = new ExpiryHeap();
  private readonly uses = new SlotRings();
  private readonly ofPrincipal = new SlotRings();
  private readonly byHandle = new SlotIndex((slot) => this.hashes[slot] as number);
  /** The first slot of each principal. */
  private readonly byPrincipal = new SlotIndex((slot) => hashOf(this.principalTextOf(slot)));
  private capacity = 0;
  /** Slots from here on were never used. */
  private end = 0;
  private readonly free: number[] = [];
  private oldestUse = NONE;
  private payloadBytes = 0;

  get size(): number {
    return this.end - this.free.length;
  }

  /** Bytes of all payloads together. */
  get bytes(): number {
    return this.payloadBytes;
  }

  /** The slot that expires first; undefined when there is none. */
  get firstToExpire(): number | undefined {
    return this.expiries.first;
  }

  /** The slot that was not used for longest, or NONE. */
  get longestUnused(): number {
    return this.oldestUse;
  }

  /** The slot of a handle, or NONE. */
  find(handle: string): number {
    const key = keyOf(handle);
    const hash = hashOf(key);
    return this.byHandle.find(
      hash,
      (slot) => this.hashes[slot] === hash && this.keyLengths[slot] === key.length && this.contentOf(slot).endsWith(key),
    );
  }

  /** Adds a handle that is not there yet. */
  add(handle: string, payload: Uint8Array, principal: string | undefined, expiry: number): number {
    if (this.end === this.capacity && this.free.length === 0) this.grow();
    // One that was used before only when there is no other, so that a listing shows sessions in the order in which they came, mostly.
    const slot = this.end < this.capacity ? this.end++ : (this.free.pop() as number);
    const key = keyOf(handle);
    this.keyLengths[slot] = key.length;
    this.hashes[slot] = hashOf(key);
    this.versions[slot] = 1;
    this.write(slot, payload, textOf(principal), key);
    this.byHandle.add(slot);
    this.join(slot);
    this.oldestUse = this.uses.append(this.oldestUse, slot);
    this.expiries.add(slot, expiry);
    return slot;
  }

  /** Gives a slot new content. */
  replace(slot: number, payload: Uint8Array, principal: string | undefined): void {
    const key = this.keyAt(slot);
    const text = textOf(principal);
    const isSame = text === this.principalTextOf(slot);
    if (!isSame) this.leave(slot);
    this.payloadBytes -= this.payloadLengthOf(slot);
    this.write(slot, payload, text, key);
    this.versions[slot] = this.versionOf(slot) + 1;
    if (!isSame) this.join(slot);
  }

  /** Counts as a use. @param expiry when it expires from now on. */
  touch(slot: number, expiry = this.expiryOf(slot)): void {
    this.expiries.change(slot, expiry);
    this.oldestUse = this.uses.append(this.uses.remove(this.oldestUse, slot), slot);
  }

  remove(slot: number): void {
    this.payloadBytes -= this.payloadLengthOf(slot);
    this.byHandle.remove(slot);
    this.leave(slot);
    this.oldestUse = this.uses.remove(this.oldestUse, slot);
    this.expiries.remove(slot);
    this.contents[slot] = undefined;
    this.free.push(slot);
  }

  handleOf(slot: number): string {
    return handleOf(this.keyAt(slot));
  }

  payloadLengthOf(slot: number): number {
    return this.contentOf(slot).length - (this.keyLengths[slot] as number) - (this.principalLengths[slot] as number);
  }

  /** A copy. */
  payloadOf(slot: number): Buffer {
    const length = this.payloadLengthOf(slot);
    const payload = Buffer.allocUnsafe(length);
    payload.write(this.contentOf(slot), 0, length, 'latin1');
    return payload;
  }

  principalOf(slot: number): string | undefined {
    return principalOf(this.principalTextOf(slot));
  }

  versionOf(slot: number): number {
    return this.versions[slot] as number;
  }

  expiryOf(slot: number): number {
    return this.expiries.expiryOf(slot);
  }

  /** Tells when it got its principal. */
  sequenceOf(slot: number): number {
    return this.sequences[slot] as number;
  }

  /** Whether a slot got its principal after the one that had this sequence. */
  isLater(slot: number, sequence: number): boolean {
    return ((this.sequenceOf(slot) - sequence) | 0) > 0;
  }

  /** All slots after one, in their order. */
  *after(slot: number): Generator<number, void> {
    for (let next = slot + 1; next < this.end; next++) if (this.contents[next] !== undefined) yield next;
  }

  /** The slots of a principal, in the order in which they became the principal's. */
  *of(principal: string): Generator<number, void> {
    const first = this.firstOf(textOf(principal));
    if (first === NONE) return;
    let slot = first;
    do {
      yield slot;
      slot = this.ofPrincipal.after(slot);
    } while (slot !== first);
  }

  private contentOf(slot: number): string {
    return this.contents[slot] as string;
  }

  private keyAt(slot: number): string {
    const content = this.contentOf(slot);
    return content.slice(content.length - (this.keyLengths[slot] as number));
  }

  private principalTextOf(slot: number): string {
    const start = this.payloadLengthOf(slot);
    return this.contentOf(slot).slice(start, start + (this.principalLengths[slot] as number));
  }

  private write(slot: number, payload: Uint8Array, principal: string, key: string): void {
    const length = payload.length + principal.length + key.length;
    if (length > scratch.length) scratch = Buffer.allocUnsafeSlow(2 * length);
    scratch.set(payload);
    scratch.write(principal, payload.length, 'latin1');
    scratch.write(key, payload.length + principal.length, 'latin1');
    this.contents[slot] = scratch.toString('latin1', 0, length);
    this.principalLengths[slot] = principal.length;
    this.payloadBytes += payload.length;
  }

  private firstOf(principal: string): number {
    return this.byPrincipal.find(
      hashOf(principal),
      (slot) => this.principalLengths[slot] === principal.length && this.contentOf(slot).startsWith(principal, this.payloadLengthOf(slot)),
    );
  }

  private join(slot: number): void {
    const principal = this.principalTextOf(slot);
    if (principal === '') return;
    this.lastSequence = (this.lastSequence + 1) | 0;
    this.sequences[slot] = this.lastSequence;
    const first = this.firstOf(principal);
    if (first === NONE) this.byPrincipal.add(slot);
    this.ofPrincipal.append(first, slot);
  }

  private leave(slot: number): void {
    const principal = this.principalTextOf(slot);
    if (principal === '') return;
    const first = this.firstOf(principal);
    const next = this.ofPrincipal.remove(first, slot);
    if (next === NONE) this.byPrincipal.remove(slot);
    else if (next !== first) this.byPrincipal.replace(first, next);
  }

  private grow(): void {
    // By a sixteenth: what is not used is never much.
    this.capacity += Math.max(FIRST_CAPACITY, this.capacity >> 4);
    const { capacity } = this;
    // Not by adding to it one by one: an array keeps half as much room again then.
    this.contents = this.contents.concat(Array.from<undefined>({ length: capacity - this.contents.length }));
    this.keyLengths = enlarged(this.keyLengths, new Uint8Array(capacity));
    this.principalLengths = enlarged(this.principalLengths, new Uint16Array(capacity));
    this.hashes = enlarged(this.hashes, new Int32Array(capacity));
    this.versions = enlarged(this.versions, new Uint32Array(capacity));
    this.sequences = enlarged(this.sequences, new Int32Array(capacity));
    this.uses.grow(capacity);
    this.ofPrincipal.grow(capacity);
    this.expiries.grow(capacity);
  }
}

/** Lists of slots, each a ring that is known by its first slot. A slot is in one of them at most. */
class SlotRings {
  private next = new Int32Array(0);
  private previous = new Int32Array(0);

  grow(capacity: number): void {
    this.next = enlarged(this.next, new Int32Array(capacity));
    this.previous = enlarged(this.previous, new Int32Array(capacity));
  }

  after(slot: number): number {
    return this.next[slot] as number;
  }

  /** Adds a slot as the last of a ring. @returns the first one. */
  append(first: number, slot: number): number {
    const next = first === NONE ? slot : first;
    const last = first === NONE ? slot : (this.previous[first] as number);
    this.next[last] = slot;
    this.previous[slot] = last;
    this.next[slot] = next;
    this.previous[next] = slot;
    return next;
  }

  /** @returns the first slot of what is left, or NONE. */
  remove(first: number, slot: number): number {
    const next = this.next[slot] as number;
    if (next === slot) return NONE;
    const previous = this.previous[slot] as number;
    this.next[previous] = next;
    this.previous[next] = previous;
    return first === slot ? next : first;
  }
}

/** Finds slots by a hash: open addressing, four to eight bytes a slot. */
class SlotIndex {
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

/**
 * Slots in the order of their expiry, as a binary heap: the first to expire is at the top, and a slot that gets another expiry finds its new
 * place without a search. It takes 16 bytes a slot, and no object.
 */
class ExpiryHeap {
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
function enlarged<T extends Int32Array | Uint32Array | Uint16Array | Uint8Array | Float64Array>(from: T, to: T): T {
  to.set(from);
  return to;
}

/** A handle in as few characters of one byte as possible: most are base64url, which needs a third more than the bytes it stands for. */
function keyOf(handle: string): string {
  const bytes = Buffer.from(handle, 'base64url');
  return bytes.toString('base64url') === handle ? `b${bytes.toString('latin1')}` : `h${handle}`;
}

function handleOf(key: string): string {
  const rest = key.slice(1);
  return key.startsWith('b') ? Buffer.from(rest, 'latin1').toString('base64url') : rest;
}

/** A principal in characters of one byte; '' for none. */
function textOf(principal: string | undefined): string {
  if (principal === undefined) return '';
  return PRINTABLE.test(principal) ? principal : `\n${Buffer.from(principal, 'utf16le').toString('latin1')}`;
}

function principalOf(text: string): string | undefined {
  if (text === '') return undefined;
  return text.startsWith('\n') ? Buffer.from(text.slice(1), 'latin1').toString('utf16le') : text;
}

/** FNV-1a, 32 bits, from another beginning in each process: users who choose their names cannot choose ones that meet. */
const SEED = randomBytes(4).readInt32LE();

function hashOf(text: string): number {
  let hash = SEED;
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  return hash | 0;
}
