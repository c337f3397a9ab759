import type { OptionReader } from '../../options/option-reader.js';

/** Where the mongodb back end keeps sessions. */
export type MongodbSessionOptions = Record<string, unknown>;

export function checkMongodbOptions(_read: OptionReader): void {}
