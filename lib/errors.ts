import {
  BadRequestException,
  ConflictException,
  HttpException,
  InternalServerErrorException,
  NotImplementedException,
  PayloadTooLargeException,
  ServiceUnavailableException,
} from '@nestjs/common';
import { printable, reasonOf, redactedError } from './common/redact.js';

export { reasonOf } from './common/redact.js';

const PREFIX = '[ServerSession]';

/** One or more options are wrong. Thrown at boot, with every fault in one message. */
export class SessionOptionsError extends Error {
  override readonly name = 'SessionOptionsError';

  constructor(readonly faults: readonly string[]) {
    const list = faults.map((fault) => `  - ${fault}`).join('\n');
    super(`${PREFIX} ${faults.length === 1 ? 'an option is' : `${faults.length} options are`} wrong:\n${list}`);
  }
}

/** The client package of a back end is not installed. Thrown at boot. */
export class MissingPackageError extends Error {
  override readonly name = 'MissingPackageError';

  constructor(feature: string, packages: string, cause?: unknown) {
    super(`${PREFIX} ${feature} needs a package that is not installed; run: npm install ${packages}`, { cause });
  }
}

/** For keys that libraries for express-session write, what to use in their place. */
const RESERVED_KEY_ADVICE: Readonly<Record<string, string>> = {
  flash: 'in place of connect-flash use session.flash(kind, message) and session.flashes(kind)',
};

/** A data key is the name of a member of the session object. */
export class ReservedSessionKeyError extends Error {
  override readonly name = 'ReservedSessionKeyError';

  constructor(readonly key: string) {
    super(
      `${PREFIX} '${key}' is a member of the session object and cannot be a data key; ${RESERVED_KEY_ADVICE[key] ?? 'choose another name'}`,
    );
  }
}

/** A write to a session of `type: 'null'`, which keeps nothing. */
export class NullSessionError extends Error {
  override readonly name = 'NullSessionError';

  constructor(operation: string) {
    super(
      `${PREFIX} ${operation}: no back end is configured, so sessions are empty and read-only; set the option 'type' ` +
        `to 'memory', 'filesystem', 'redis', 'memcached', 'mongodb' or 'typeorm'`,
    );
  }
}

/** A write to a session that `SessionService` handed out to look at. */
export class ReadOnlySessionError extends Error {
  override readonly name = 'ReadOnlySessionError';

  constructor(operation: string) {
    super(
      `${PREFIX} ${operation}: sessions from SessionService are read-only; change one with SessionService.update(handle, …), ` +
        'end one with SessionService.revoke(handle)',
    );
  }
}

/** `session.principal` was changed inside of an atomic update, which gives the session no new id and checks no limit. */
export class PrincipalChangeError extends Error {
  override readonly name = 'PrincipalChangeError';

  constructor() {
    super(`${PREFIX} the principal cannot be changed inside of update(): set session.principal in the request that logs in or out`);
  }
}

/** A value of a session cannot be serialized, or not be read back. */
export class SessionSerializationError extends Error {
  override readonly name = 'SessionSerializationError';

  constructor(
    readonly key: string,
    reason: string,
    cause?: unknown,
  ) {
    super(`${PREFIX} the value of the session key '${shortKey(key)}' ${reason}`, causedBy(cause));
  }
}

/** A stored record cannot be read: another format, a wrong key, damaged. It counts as no session. */
export class UnreadableRecordError extends Error {
  override readonly name = 'UnreadableRecordError';

  constructor(reason: string, cause?: unknown) {
    // What a record says of itself may come from any writer to the store.
    super(`${PREFIX} a stored session cannot be read: ${printable(reason)}`, causedBy(cause));
  }
}

/** Says what failed in the message (for logs), and only the status to the client. */
function explain(exception: HttpException, message: string): void {
  exception.message = `${PREFIX} ${message}`;
}

/** The `cause` of an error of ours, as the options of its constructor: without anything of a session, to any depth. */
function causedBy(cause: unknown, secrets: readonly unknown[] = []): ErrorOptions {
  return cause === undefined ? {} : { cause: redactedError(cause, ...secrets) };
}

/** Keys are told, but may be of any length and hold control characters. */
function shortKey(key: string): string {
  return printable(key, 60);
}

/** The store did not do what it was asked to. Reaches the client as 503. */
export class SessionStoreError extends ServiceUnavailableException {
  /**
   * @param operation what it was asked to do, as in `read a session`.
   * @param cause what the repository threw. Only its name, code and cleaned message are kept.
   * @param secrets what the operation was about: handle, principal, record. The message repeats nothing of them.
   */
  constructor(operation: string, cause?: unknown, ...secrets: readonly unknown[]) {
    super(undefined, causedBy(cause, secrets));
    this.name = 'SessionStoreError';
    explain(this, `the session store failed to ${operation}: ${reasonOf(cause, ...secrets)}`);
  }
}

/** The store did not answer within `storeTimeout`. Reaches the client as 503. */
export class SessionStoreTimeoutError extends SessionStoreError {
  constructor(operation: string, milliseconds: number) {
    super(operation, `no answer within ${milliseconds} ms (option 'storeTimeout')`);
    this.name = 'SessionStoreTimeoutError';
  }
}

/** A write to the read-only session that `onStoreError: 'degrade'` serves while the store is down. Reaches the client as 503. */
export class SessionUnavailableError extends ServiceUnavailableException {
  constructor(operation: string) {
    super();
    this.name = 'SessionUnavailableError';
    explain(this, `${operation}: the session store is down and the session is read-only meanwhile`);
  }
}

/**
 * Another request changed the session first, and `concurrency` is `'reject'`, or the changes could not be merged in time.
 * Reaches the client as 409.
 */
export class SessionConflictError extends ConflictException {
  constructor(reason: string) {
    super();
    this.name = 'SessionConflictError';
    explain(this, `the session was changed by another request: ${reason}`);
  }
}

/** The serialized data is larger than `maxBytes`. Reaches the client as 413. */
export class SessionTooLargeError extends PayloadTooLargeException {
  /** The keys with the most bytes; a long key is cut. */
  readonly largestKeys: readonly { readonly key: string; readonly bytes: number }[];

  constructor(
    readonly bytes: number,
    readonly maxBytes: number,
    largestKeys: readonly { readonly key: string; readonly bytes: number }[],
  ) {
    super();
    this.name = 'SessionTooLargeError';
    this.largestKeys = largestKeys.map(({ key, bytes: size }) => ({ key: shortKey(key), bytes: size }));
    const keys = this.largestKeys.map(({ key, bytes: size }) => `'${key}' (${size} bytes)`).join(', ');
    explain(this, `the session has ${bytes} bytes, ${maxBytes} are allowed (option 'maxBytes'); its largest keys: ${keys}`);
  }
}

/**
 * The principal has as many sessions as `maxSessionsPerPrincipal` allows, and `onMaxSessions` is `'reject'`. Reaches the client
 * as 409; the session is as it was before the log-in.
 */
export class TooManySessionsError extends ConflictException {
  constructor(readonly limit: number) {
    super();
    this.name = 'TooManySessionsError';
    explain(this, `a log-in was refused: its principal has ${limit} sessions already (option 'maxSessionsPerPrincipal')`);
  }
}

/**
 * A new id, or a session that begins, could not be told to the client any more: the head of the response has left. The session is as it was.
 * Reaches a client as 500, where one is still listening.
 */
export class SessionHeadersSentError extends InternalServerErrorException {
  constructor(operation: string) {
    super();
    this.name = 'SessionHeadersSentError';
    explain(
      this,
      `${operation}: the client cannot be told its id any more; do it before the first byte of the response, or in a request of HTTP`,
    );
  }
}

/** The back end cannot list what it holds. Reaches a client as 501. */
export class SessionListingNotSupportedError extends NotImplementedException {
  constructor(
    operation: string,
    readonly backEnd: string,
  ) {
    super();
    this.name = 'SessionListingNotSupportedError';
    explain(
      this,
      `${operation}() needs a back end that can list its sessions, and ${backEnd} cannot; get(), update(), revoke(), load() and ` +
        "the events work. Use 'redis', 'mongodb', 'typeorm', 'filesystem' or 'memory' to list",
    );
  }
}

/** A listing was asked to go on from a cursor that none of its pages gave. Reaches the client as 400. */
export class InvalidSessionCursorError extends BadRequestException {
  constructor() {
    super();
    this.name = 'InvalidSessionCursorError';
    explain(this, 'the cursor of a listing is none that list() returned');
  }
}
