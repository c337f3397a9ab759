import type { OptionReader } from '../../options/option-reader.js';

/** Where the typeorm back end keeps sessions. */
export type TypeormSessionOptions = Record<string, unknown>;

export function checkTypeormOptions(_read: OptionReader): void {}
