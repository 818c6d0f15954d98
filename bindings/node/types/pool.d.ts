import { Operations, Session } from './operations.js';

/**
 * How an idle connection is checked before it is handed out: `'socket'` asks the operating system
 * whether it is still open (no round trip), `'ping'` asks the server, `'none'` does not check.
 */
export type Validation = 'socket' | 'ping' | 'none';

/**
 * Everything that can be set on a pool. Times are in milliseconds, at most 365 days. What makes no
 * sense is refused by {@link createPool}, with an error that begins with the option's name.
 */
export interface PoolOptions {
  /** `http[s]://host[:port][/prefix]`. Default `'http://localhost:8080'`. */
  baseUrl?: string;
  /** The bearer token; none by default. Never shown in any message. */
  token?: string;
  /** Connections that the pool keeps, even when nobody uses them. Default 2; 0 is allowed. */
  minConnections?: number;
  /** Connections that the pool never exceeds, as the server counts them. Default 10; 1 to 65535. */
  maxConnections?: number;
  /** How long {@link Pool.acquire} waits, all its steps together. Default 30000; more than 0. */
  acquireTimeout?: number;
  /** After how long an unused connection above `minConnections` closes. Default 60000; 0: never. */
  idleTimeout?: number;
  /** After how long a connection is retired, less up to a tenth by chance. Default 1800000; 0: never. */
  maxLifetime?: number;
  /** How long a connection may be idle and still be handed out unchecked. Default 500. */
  validateAfter?: number;
  /** How an idle connection is checked. Default `'socket'`. */
  validation?: Validation;
  /** How long a check by ping may take. Default 1000; more than 0. */
  validationTimeout?: number;
  /** How many callers may wait at once; one more gets `OVERLOADED`. Default 10000. */
  maxWaiters?: number;
  /** How many connections may be opening at once. Default 2; at least 1. */
  maxConnecting?: number;
  /** After how long an acquired client is reported to `log` as leaked. Default 0: never. */
  leakThreshold?: number;
  /** How long a request may take, opening the connection included. Default 30000; more than 0. */
  requestTimeout?: number;
  /** How long opening a connection may take: look-up, TCP and TLS together. Default 5000. */
  connectTimeout?: number;
  /** How long {@link Pool.close} waits for clients before it cuts them. Default 5000. */
  closeTimeout?: number;
  /** Open `minConnections` when the pool is made, instead of each at its first request. */
  preconnect?: boolean;
  /** A PEM file with the certificates that may sign the server's; the system's by default. */
  tlsCaFile?: string;
  /** A PEM file with the client's certificate; goes with `tlsKeyFile`. */
  tlsCertFile?: string;
  /** A PEM file with the private key of `tlsCertFile`. */
  tlsKeyFile?: string;
  /** How large a response's body may be, in bytes. Default 67108864 (64 MiB). */
  maxResponseBytes?: number;
  /** Told of leaked clients, and of the beginning and the end of an outage. */
  log?: (level: 'info' | 'warning', message: string) => void;
}

/** What every call takes as its last argument. */
export interface CallOptions {
  /**
   * Ends the call: it rejects with a {@link PhantomDBError} whose `name` is `'AbortError'`, `code`
   * `'CANCELLED'` and `cause` the signal's reason. A request in flight is cut; what the server made
   * of it is unknown. If the result was there first, the call succeeds.
   */
  signal?: AbortSignal | null;
}

/** What {@link Pool.acquire} and {@link Pool.use} take. */
export interface AcquireOptions extends CallOptions {
  /** How long to wait, in milliseconds, instead of `acquireTimeout`. */
  timeout?: number;
  /** The user of the client, for the report of a leak: the id of a request, for example. */
  owner?: string;
}

/** The numbers of a moment. */
export interface PoolStatus {
  /** Connections that can be handed out at once. */
  available: number;
  /** Connections that callers have. */
  used: number;
  /** Callers that wait for a connection. */
  pending: number;
  /** The option `minConnections`. */
  min: number;
  /** The option `maxConnections`. */
  max: number;
}

/** How long something took, how often: each bucket counts what took at most `le` seconds. */
export interface Histogram {
  /** How many there were. */
  count: number;
  /** How long they took, all together. */
  sum_seconds: number;
  /** How many took at most `le` seconds, for each of several bounds. */
  buckets: {
    /** The upper bound, in seconds. */
    le: number;
    /** How many. */
    count: number;
  }[];
}

/** What a pool has done so far. */
export interface PoolStats {
  /** Each acquire is exactly one of these. */
  acquires: {
    /** Served without waiting. */
    direct: number;
    /** Served after a wait. */
    waited: number;
    /** Not served in time. */
    timed_out: number;
    /** Given up by the caller. */
    cancelled: number;
    /** Refused, because too many waited already. */
    rejected: number;
    /** Failed for another reason: the server can't be reached, or the pool is closed. */
    failed: number;
  };
  [name: string]: unknown;
}

/**
 * A value of the database. Integers that a JavaScript number can't hold exactly come, and may be given, as
 * `bigint`. A number that neither can hold (1e400, or an integer of more than 4300 digits) comes as a string with
 * its digits. `NaN`, infinities, invalid dates, unpaired surrogates and what has no JSON (a `Map`, a promise) are
 * refused instead of being changed.
 */
export type Value = string | number | bigint | boolean | null | Value[] | { [name: string]: Value };

/**
 * A row: column to value. A plain object with a property of its own for each column that the server sent for this
 * row, whatever the column's name: `__proto__` is a column like any other.
 */
export type Row = Record<string, any>;

/** A column of a new table. */
export interface Column {
  /** Its name. */
  name: string;
  /** Its type, `'integer'` or `'varchar(40)'` for example. */
  type: string;
  /** Whether it may be null. */
  nullable?: boolean;
  /** Whether it is the primary key, or a part of it. */
  primaryKey?: boolean;
  /** The value of rows that give none. */
  defaultValue?: unknown;
}

/** What a statement gives. */
export interface QueryResult<R = Row> {
  // The names that PhantomDB's own SDK and servers have for the same.
  /** The same as `rows`. */
  readonly records: R[];
  /** The same as `rows`. */
  readonly results: R[];
  /** The same as `affectedRows`. */
  readonly affected_rows: number | null;

  /** The names of the columns, in their order; empty for a statement that gives no rows. */
  columns: string[];
  /** The rows. Of two columns with the same name the last one counts. */
  rows: R[];
  /** How many rows the server says there are; if it does not say, how many it sent. */
  rowCount: number;
  /** How many rows the statement changed; null if the server did not say. */
  affectedRows: number | null;
}

/** The object in the response to an operation that has no other result. */
export type ResponseBody = Record<string, any>;

/**
 * What went wrong. `name` is `'AbortError'` if an AbortSignal ended the call.
 *
 * Match on `code`; if you must match on the message, rely on two words: `Timeout` in that of
 * `TIMEOUT`, and `closed` in that of `CLOSED`.
 */
export class PhantomDBError extends Error {
  constructor(message: string, details?: Partial<PhantomDBError>);
  /**
   * `INVALID_ARGUMENT`, `INVALID_HANDLE` (a client that was released), `CLOSED`, `TIMEOUT`,
   * `WOULD_BLOCK`, `OVERLOADED`, `UNAVAILABLE`, `CANCELLED`, `INVALID_STATE`, `HTTP`,
   * `UNAUTHORIZED`, `PROTOCOL`, `CONNECTION_LOST`, `TOO_LARGE`, `TLS`, `BUSY`, `WOULD_DEADLOCK`,
   * `TYPE`, `PANIC` or `OUT_OF_MEMORY`.
   */
  code: string;
  /** The HTTP status, if there was a response. */
  status?: number;
  /**
   * Whether the same call may succeed later, and is safe to repeat. After a write that may have
   * been carried out it is false, and the message says that this is not known.
   */
  retriable: boolean;
  /** In how many milliseconds a new try makes sense, if that is known. */
  retryAfter?: number;
  /** The reason of the signal that ended the call. */
  cause?: unknown;
}

/**
 * A connection that was acquired from a pool, until it is released. Its requests run one after the
 * other, in the order in which they were made; so a transaction is the requests between its begin
 * and its end on one client.
 */
export class Client extends Session implements Disposable, AsyncDisposable {
  private constructor();
  /** The pool that it came from. */
  readonly pool: Pool;
  /** Whether it was released; every call on it is refused then. */
  readonly isReleased: boolean;
  /** Names who has it, for the report of a leak. Forgotten at the release. */
  setOwner(owner: string): void;
  /** As {@link Pool.release}. */
  release(): void;
  /** As {@link Pool.discard}. */
  discard(): void;
  /** Releases it: `using client = await pool.acquire()`. */
  [Symbol.dispose](): void;
  /** Releases it: `await using client = await pool.acquire()`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * A pool of connections to one PhantomDB server. Callers are served in the order in which they
 * came. An idle pool does not keep the process alive; a call that is under way does.
 *
 * ```js
 * const pool = createPool({ baseUrl: 'http://localhost:8080', maxConnections: 20 });
 * const orders = await pool.use((client) => client.select('shop', 'orders', 'paid = 0'));
 * await pool.close();
 * ```
 */
export class Pool extends Operations implements AsyncDisposable {
  /** As {@link createPool}. */
  constructor(options?: PoolOptions);
  /** The option `baseUrl`, or its default, without `/` at its end. */
  readonly baseUrl: string;
  /** The option `minConnections`, as {@link Pool.resize} has left it. */
  readonly minConnections: number;
  /** The option `maxConnections`, as {@link Pool.resize} has left it. */
  readonly maxConnections: number;
  /** The option `acquireTimeout`, or its default. */
  readonly acquireTimeout: number;
  /** The option `idleTimeout`, or its default. */
  readonly idleTimeout: number;
  /** Whether {@link Pool.close} was called. */
  readonly closed: boolean;
  /**
   * A client, as soon as there is one; to be released. Rejects with `TIMEOUT`, `CLOSED`,
   * `OVERLOADED`, `CANCELLED`, and while the server can't be reached with `UNAVAILABLE`.
   */
  acquire(options?: AcquireOptions): Promise<Client>;
  /** A client, if one is free at this moment; throws `WOULD_BLOCK` if none is. */
  tryAcquire(options?: { owner?: string }): Client;
  /**
   * Gives a client back; requests of it that are under way go on, and it is back when they are done.
   * An open transaction is rolled back before anybody else gets the connection. Throws
   * `INVALID_HANDLE` for a client that was released already, or is of another pool.
   */
  release(client: Client): void;
  /** Releases a client, and closes its connection instead of reusing it. */
  discard(client: Client): void;
  /** Acquires a client, runs `work` with it, and releases it, whatever happens. */
  use<T>(work: (client: Client) => T | PromiseLike<T>, options?: AcquireOptions): Promise<T>;
  /** Runs one SQL statement; the same as `executeQuery`. */
  query<R = Row>(
    database: string,
    sql: string,
    parameters?: readonly unknown[] | null,
    options?: CallOptions,
  ): Promise<QueryResult<R>>;
  /** The numbers of this moment. */
  getStatus(): PoolStatus;
  /** What the pool has done so far. */
  getStats(): PoolStats;
  /** Statistics and status as OpenMetrics text, for Prometheus and its like. */
  getMetrics(): string;
  /** Retires every connection that is open now: idle ones at once, others when they come back. */
  reset(): void;
  /** Changes the limits while the pool is in use. */
  resize(minConnections: number, maxConnections: number): void;
  /** Changes the bearer token of every request that starts afterwards; null sends none. */
  setToken(token: string | null): void;
  /**
   * Closes the pool; resolves when nothing of it is left. Waiters get `CLOSED` at once;
   * clients that are out have `timeout` milliseconds (`closeTimeout` by default) to be released, and
   * are then cut. Closing it again is fine; a shorter time then hurries the first.
   */
  close(options?: { timeout?: number }): Promise<void>;
  /** Closes it: `await using pool = createPool()`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Makes a pool. Opens no connection (unless `preconnect` asks for it), so the server need not be
 * there yet. Throws a {@link PhantomDBError} whose message begins with the option that can't be used.
 */
export function createPool(options?: PoolOptions): Pool;

/** The name that PhantomDB's own JavaScript SDK has for {@link Pool}. */
export { Pool as PhantomDBConnectionPool };
