import { reasonOf, redactedError } from '../common/redact.js';
import { SessionSerializationError } from '../errors.js';
import type { SessionSerializer } from '../storage/serializers.js';
import { Attribute, type FieldChanges, NO_CHANGES, type SerializedFields, toBuffer } from '../storage/record.codec.js';

/**
 * `read`: decoded from what is stored, perhaps changed inside since; `set`: assigned by the application; `damaged`: found
 * unreadable, absent for the application and left alone in the store, as a newer deploy may well be able to read it.
 */
type FieldState = 'stored' | 'read' | 'set' | 'deleted' | 'damaged';

interface Field {
  /** As it stands in the store; undefined for a key that is not there. */
  stored: Buffer | undefined;
  value: unknown;
  state: FieldState;
  /** The value in its serialized form, where nothing inside it can change. */
  bytes?: Buffer | undefined;
}

/** A session that holds nothing but these is not stored. */
const ABOUT_ITSELF: ReadonlySet<string> = new Set([Attribute.permanent, Attribute.lifetime, Attribute.meta]);

/**
 * The fields of a session: decoded when first read, compared with what is stored by their serialized form. A field that
 * was not read or set cannot have changed and costs nothing, however large it is.
 */
export class SessionFields {
  private readonly fields = new Map<string, Field>();

  /** @param onDamaged told of a stored value that the serializer cannot read; the field then counts as absent. */
  constructor(
    private readonly serializer: SessionSerializer,
    private readonly onDamaged: (key: string, error: unknown) => void,
    stored: SerializedFields = new Map(),
  ) {
    for (const [key, bytes] of stored) this.fields.set(key, asStored(bytes));
  }

  has(key: string): boolean {
    const field = this.fields.get(key);
    return field !== undefined && isPresent(field);
  }

  /** The value; undefined for a key that is absent, or whose stored value cannot be read. */
  get(key: string): unknown {
    const field = this.fields.get(key);
    if (field?.state === 'stored') this.decode(key, field);
    return field?.value;
  }

  /** Sets a value; `undefined`, which is not stored, deletes the key. */
  set(key: string, value: unknown): void {
    if (value === undefined) return void this.delete(key);
    const field = this.fields.get(key);
    if (field === undefined) {
      this.fields.set(key, { stored: undefined, value, state: 'set' });
    } else {
      field.value = value;
      field.state = 'set';
      field.bytes = undefined;
    }
  }

  /** @returns whether the key was there. */
  delete(key: string): boolean {
    const field = this.fields.get(key);
    if (field === undefined) return false;
    const wasPresent = isPresent(field);
    if (field.stored === undefined) this.fields.delete(key);
    field.value = undefined;
    field.state = 'deleted';
    return wasPresent;
  }

  /**
   * Deletes fields, those that cannot be read among them.
   *
   * @returns what undoes it, but for keys that were set again since.
   */
  drop(isDropped: (key: string) => boolean): () => void {
    const dropped = Array.from(this.fields, ([key, field]) => [key, { ...field }] as const).filter(([key]) => isDropped(key));
    for (const [key] of dropped) this.delete(key);
    return () => {
      for (const [key, field] of dropped) if (!this.has(key)) this.fields.set(key, field);
    };
  }

  /** The keys that begin with `prefix`, in the order in which they were set. */
  *keys(prefix: string): Generator<string> {
    for (const [key, field] of this.fields) if (isPresent(field) && key.startsWith(prefix)) yield key;
  }

  /** Whether there is nothing to store: what a session knows about itself alone is nothing to keep. */
  get isEmpty(): boolean {
    for (const key of this.keys('')) if (!ABOUT_ITSELF.has(key)) return false;
    return true;
  }

  /**
   * What differs from the stored state, nested changes included; empty when nothing does.
   *
   * @throws SessionSerializationError naming the key that cannot be serialized.
   */
  changes(): FieldChanges {
    let changes: Map<string, Buffer | undefined> | undefined;
    for (const [key, field] of this.fields) {
      // What cannot change inside is as it was read.
      if (isUntouched(field) || (field.state === 'read' && !isObject(field.value))) continue;
      const bytes = this.current(key, field);
      if (!sameBytes(bytes, field.stored)) (changes ??= new Map()).set(key, bytes);
    }
    return changes ?? NO_CHANGES;
  }

  /** All fields in their serialized form, changes included. */
  serialized(): SerializedFields {
    const all = new Map<string, Buffer>();
    for (const [key, field] of this.fields) {
      const bytes = this.current(key, field);
      if (bytes !== undefined) all.set(key, bytes);
    }
    return all;
  }

  /**
   * Makes `stored` the state that later changes are compared with, once `saved` is part of it. Values that the application
   * changed meanwhile stay; what another request changed is read anew.
   */
  rebase(stored: SerializedFields, saved: FieldChanges): void {
    for (const [key, field] of this.fields) {
      const now = stored.get(key);
      const isMine = saved.has(key) || sameBytes(now, field.stored) || this.hasChanged(key, field);
      field.stored = now;
      if (isMine && (field.state !== 'deleted' || now !== undefined)) continue;
      if (now === undefined) this.fields.delete(key);
      else this.fields.set(key, asStored(now));
    }
    for (const [key, bytes] of stored) {
      // What was saved and is missing here was deleted while the save was under way.
      if (!this.fields.has(key)) this.fields.set(key, { ...asStored(bytes), state: saved.has(key) ? 'deleted' : 'stored' });
    }
  }

  private hasChanged(key: string, field: Field): boolean {
    try {
      return !sameBytes(this.current(key, field), field.stored);
    } catch {
      return true; // Into what cannot be serialized: the next save says so.
    }
  }

  private current(key: string, field: Field): Buffer | undefined {
    if (isUntouched(field)) return field.stored;
    if (field.state === 'deleted') return undefined;
    return isObject(field.value) ? this.serialize(key, field.value) : (field.bytes ??= this.serialize(key, field.value));
  }

  private serialize(key: string, value: unknown): Buffer | undefined {
    try {
      const serialized = this.serializer.serialize(value);
      return serialized === undefined ? undefined : toBuffer(serialized);
    } catch (error) {
      throw new SessionSerializationError(key.slice(1), `cannot be serialized: ${reasonOf(error, value)}`, redactedError(error, value));
    }
  }

  private decode(key: string, field: Field): void {
    try {
      field.value = field.stored && this.serializer.deserialize(field.stored);
      field.state = 'read';
    } catch (error) {
      field.state = 'damaged';
      this.onDamaged(key.slice(1), error);
    }
  }
}

function asStored(bytes: Buffer): Field {
  return { stored: bytes, value: undefined, state: 'stored' };
}

function isPresent({ state }: Field): boolean {
  return state !== 'deleted' && state !== 'damaged';
}

function isUntouched({ state }: Field): boolean {
  return state === 'stored' || state === 'damaged';
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null;
}

function sameBytes(a: Buffer | undefined, b: Buffer | undefined): boolean {
  return a === b || (a !== undefined && b !== undefined && a.equals(b));
}
