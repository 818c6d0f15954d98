'use strict';

const native = require('./native.js');
const { abandon, lastError, promise, reserve, signalOf } = require('./calls.js');
const { invalid } = require('./errors.js');
const { Refusal, stringify } = require('./json.js');
const {
  AnyReader,
  JsonReader,
  ListReader,
  QueryReader,
  RowsReader,
  TransactionReader,
} = require('./reading.js');

/** Arguments that are values here and JSON for the core. */
const JSON_ARGUMENTS = new Set(['columns', 'row', 'data', 'parameters', 'body']);

/** The operations by their names. */
const operation = Object.fromEntries(
  native.operations.map(({ name, operation, arguments: names }) => [name, { operation, names }]),
);

/** What a request is sent on: `this[TARGET]` is its number, `this[IS_POOL]` its kind. */
const TARGET = Symbol('target');
const IS_POOL = Symbol('isPool');

function text(name, value) {
  if (value === undefined || value === null || !JSON_ARGUMENTS.has(name)) return value;
  let written;
  try {
    written = stringify(value);
  } catch (error) {
    if (error instanceof Refusal) throw invalid(name, error.message);
    throw invalid(name, `can't be written as JSON: ${error.message}`);
  }
  // Else it would be as if it had not been given.
  if (written === undefined) {
    throw invalid(name, "can't be written as JSON: it is a function, a symbol or undefined");
  }
  return written;
}

/** Runs an operation on a pool or a client. */
function run(on, { operation, names }, operands, read, options) {
  let id = -1;
  try {
    const target = on[TARGET];
    const signal = signalOf(options, on[IS_POOL] ? target : undefined);
    for (let i = 2; i < operands.length; i++) operands[i] = text(names[i], operands[i]);
    id = reserve();
    const isCancellable = signal !== undefined;
    if (native.run(on[IS_POOL], target, id, isCancellable, operation, ...operands) < 0) {
      throw lastError();
    }
    return promise(id, read, on, signal);
  } catch (error) {
    if (id >= 0) abandon(id);
    return Promise.reject(error);
  }
}

function request(on, method, path, body, options) {
  let id = -1;
  try {
    const target = on[TARGET];
    const signal = signalOf(options, on[IS_POOL] ? target : undefined);
    const written = text('body', body);
    id = reserve();
    const isCancellable = signal !== undefined;
    if (native.request(on[IS_POOL], target, id, isCancellable, method, path, written) < 0) {
      throw lastError();
    }
    return promise(id, AnyReader, on, signal);
  } catch (error) {
    if (id >= 0) abandon(id);
    return Promise.reject(error);
  }
}

/** What pools and clients have in common: on a pool each takes a client for itself alone. */
class Operations {
  healthCheck(options) {
    return run(this, operation.health_check, [], JsonReader, options);
  }

  listDatabases(options) {
    return run(this, operation.list_databases, [], ListReader, options);
  }

  createDatabase(name, options) {
    return run(this, operation.create_database, [name], JsonReader, options);
  }

  dropDatabase(database, options) {
    return run(this, operation.drop_database, [database], JsonReader, options);
  }

  listTables(database, options) {
    return run(this, operation.list_tables, [database], ListReader, options);
  }

  createTable(database, name, columns, options) {
    return run(this, operation.create_table, [database, name, columns], JsonReader, options);
  }

  dropTable(database, table, options) {
    return run(this, operation.drop_table, [database, table], JsonReader, options);
  }

  insert(database, table, row, options) {
    return run(this, operation.insert, [database, table, row], JsonReader, options);
  }

  select(database, table, condition, options) {
    return run(this, operation.select, [database, table, condition], RowsReader, options);
  }

  update(database, table, data, condition, options) {
    return run(this, operation.update, [database, table, data, condition], JsonReader, options);
  }

  delete(database, table, condition, options) {
    return run(this, operation.delete, [database, table, condition], JsonReader, options);
  }

  executeQuery(database, sql, parameters, options) {
    return run(this, operation.execute_query, [database, sql, parameters], QueryReader, options);
  }

  request(method, path, body, options) {
    return request(this, method, path, body, options);
  }
}

/** What has one connection of its own, and so can have a transaction. */
class Session extends Operations {
  beginTransaction(database, options) {
    return run(this, operation.begin_transaction, [database], TransactionReader, options);
  }

  commitTransaction(id, options) {
    return run(this, operation.commit_transaction, [id], JsonReader, options);
  }

  rollbackTransaction(id, options) {
    return run(this, operation.rollback_transaction, [id], JsonReader, options);
  }

  get [IS_POOL]() {
    return false;
  }
}

module.exports = { IS_POOL, Operations, Session, TARGET };
