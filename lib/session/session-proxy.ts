import { ReservedSessionKeyError } from '../errors.js';

/** What the data of a session can be reached by. */
interface Dictionary {
  get(key: string): unknown;
  set(key: string, value: unknown): unknown;
  has(key: string): boolean;
  delete(key: string): boolean;
  keys(): string[];
}

/**
 * Makes the data of a dictionary its properties, while its members stay members. The data live in the dictionary, not on the
 * object, so `__proto__` and `constructor` are keys like any other and reach no prototype.
 *
 * @param members the names that are not data.
 */
export function dataAsProperties<T extends Dictionary>(members: ReadonlySet<string>): ProxyHandler<T> {
  return {
    get(target, key) {
      return typeof key === 'symbol' || members.has(key) ? (Reflect.get(target, key, target) as unknown) : target.get(key);
    },
    set(target, key, value) {
      if (typeof key === 'symbol') return false;
      if (!members.has(key)) {
        target.set(key, value);
        return true;
      }
      if (!isSettable(target, key)) throw new ReservedSessionKeyError(key);
      return Reflect.set(target, key, value, target);
    },
    has(target, key) {
      return typeof key === 'symbol' ? Reflect.has(target, key) : members.has(key) || target.has(key);
    },
    deleteProperty(target, key) {
      if (typeof key === 'string') target.delete(key);
      return true;
    },
    ownKeys(target) {
      return target.keys();
    },
    getOwnPropertyDescriptor(target, key) {
      if (typeof key === 'symbol' || !target.has(key)) return undefined;
      return { value: target.get(key), writable: true, enumerable: true, configurable: true };
    },
    defineProperty(target, key, { value, get, set, ...attributes }) {
      if (typeof key === 'symbol') return false;
      if (members.has(key)) throw new ReservedSessionKeyError(key);
      // Data is plain: what a store cannot keep is no attribute of it.
      if (get !== undefined || set !== undefined || Object.values(attributes).includes(false)) return false;
      target.set(key, value);
      return true;
    },
    // The prototype is no data, and nobody is to exchange it or to freeze what is not there.
    setPrototypeOf: () => false,
    preventExtensions: () => false,
  };
}

function isSettable(target: object, key: string): boolean {
  const prototype = Object.getPrototypeOf(target) as object;
  return Object.getOwnPropertyDescriptor(prototype, key)?.set !== undefined;
}
