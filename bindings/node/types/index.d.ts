import { Session } from './operations.js';
import type { PoolOptions } from './pool.js';

export * from './pool.js';

/** What a client without a pool takes: the options of a pool that make sense for one connection. */
export type ClientOptions = Pick<
  PoolOptions,
  | 'baseUrl'
  | 'token'
  | 'maxLifetime'
  | 'requestTimeout'
  | 'connectTimeout'
  | 'closeTimeout'
  | 'tlsCaFile'
  | 'tlsCertFile'
  | 'tlsKeyFile'
  | 'maxResponseBytes'
  | 'log'
>;

/**
 * A client without a pool: one connection, which opens at its first request, and again whenever it was
 * lost. Its requests run one after the other, in the order in which they were made; so a transaction is the
 * requests between its begin and its end. An idle one does not keep the process alive.
 *
 * ```js
 * const db = connect('http://localhost:8080');
 * console.log(await db.listDatabases());
 * await db.close();
 * ```
 */
export class PhantomDB extends Session implements AsyncDisposable {
  /** As {@link connect}. */
  constructor(options?: string | ClientOptions);
  /** The URL that it was given, or the default, without `/` at its end. */
  readonly baseUrl: string;
  /** Changes the bearer token of every request that starts afterwards; null sends none. */
  setToken(token: string | null): void;
  /** Closes the connection at once; a request that is under way fails with `CLOSED`. */
  close(): Promise<void>;
  /** Closes it: `await using db = connect()`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** Makes a client without a pool, of a server's URL or of options. Sends nothing yet. */
export function connect(options?: string | ClientOptions): PhantomDB;

/** The version of the library behind this package. */
export const version: string;
