import type { CallOptions, Column, QueryResult, ResponseBody, Row } from './pool.js';

/** The operations that a pool (on a client taken for each) and a client have in common. */
export abstract class Operations {
  /** Checks the server's health: `status` is `'healthy'` or `'unhealthy'`. */
  healthCheck(options?: CallOptions): Promise<ResponseBody>;
  /** The names of the databases. */
  listDatabases(options?: CallOptions): Promise<string[]>;
  /** Creates a database; `HTTP` with status 409 if there is one of this name. */
  createDatabase(name: string, options?: CallOptions): Promise<ResponseBody>;
  /** Drops a database with everything in it. */
  dropDatabase(database: string, options?: CallOptions): Promise<ResponseBody>;
  /** The names of the tables of a database. */
  listTables(database: string, options?: CallOptions): Promise<string[]>;
  /** Makes a table. */
  createTable(
    database: string,
    name: string,
    columns: Column[],
    options?: CallOptions,
  ): Promise<ResponseBody>;
  /** Drops a table with all its rows. */
  dropTable(database: string, table: string, options?: CallOptions): Promise<ResponseBody>;
  /** Adds one row. Never carried out twice. */
  insert(
    database: string,
    table: string,
    row: object,
    options?: CallOptions,
  ): Promise<ResponseBody>;
  /** The rows that fulfil an SQL condition, or all without one. A blank condition is refused. */
  select<R = Row>(
    database: string,
    table: string,
    condition?: string | null,
    options?: CallOptions,
  ): Promise<R[]>;
  /** Updates the rows that match an SQL condition, or all without one. */
  update(
    database: string,
    table: string,
    data: object,
    condition?: string | null,
    options?: CallOptions,
  ): Promise<ResponseBody>;
  /**
   * Deletes the rows that match an SQL condition. It is never optional, because without one the
   * request would drop the table: say `'1=1'` for all rows.
   */
  delete(
    database: string,
    table: string,
    condition: string,
    options?: CallOptions,
  ): Promise<ResponseBody>;
  /** Runs one SQL statement, with a value for each `?` of it. */
  executeQuery<R = Row>(
    database: string,
    sql: string,
    parameters?: readonly unknown[] | null,
    options?: CallOptions,
  ): Promise<QueryResult<R>>;
  /**
   * Sends a request that has no name here. `path` begins with `/` and is sent as it is; `body` is
   * any value that can be written as JSON. Gives the response's value, or its text if it is not JSON.
   */
  request(method: string, path: string, body?: unknown, options?: CallOptions): Promise<any>;
}

/** What one connection can do: all operations, and transactions. */
export abstract class Session extends Operations {
  /**
   * Begins a transaction, of one database or of whichever it touches first; gives its id. Every
   * request on this client belongs to it until commit or rollback; a release or a close rolls it back.
   */
  beginTransaction(database?: string | null, options?: CallOptions): Promise<string>;
  /** Commits the open transaction; `id`, if it is given, must be its own. */
  commitTransaction(id?: string | null, options?: CallOptions): Promise<ResponseBody>;
  /** Rolls the open transaction back; `id`, if it is given, must be its own. */
  rollbackTransaction(id?: string | null, options?: CallOptions): Promise<ResponseBody>;
}
