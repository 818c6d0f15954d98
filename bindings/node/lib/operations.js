'use strict';

const native = require('./native.js');
const { abandon, lastError, promise, reserve, signalOf } = require('./calls.js');
const { invalid } = require('./errors.js');
const { Refusal, parse, stringify } = require('./json.js');

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
  try {
    return stringify(value);
  } catch (error) {
    if (error instanceof Refusal) throw invalid(name, error.message);
    throw invalid(name, `can't be written as JSON: ${error.message}`);
  }
}

/** Runs an operation on a pool or a client. */
function run(on, { operation, names }, operands, read, options) {
  let id = -1;
  try {
    const target = on[TARGET];
    const signal = signalOf(options);
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
    const signal = signalOf(options);
    const written = text('body', body);
    id = reserve();
    const isCancellable = signal !== undefined;
    if (native.request(on[IS_POOL], target, id, isCancellable, method, path, written) < 0) {
      throw lastError();
    }
    return promise(id, readAnything, on, signal);
  } catch (error) {
    if (id >= 0) abandon(id);
    return Promise.reject(error);
  }
}

function readQuery(text) {
  const { columns, rows, rowCount, affectedRows } = parse(text);
  const objects = rows.map((row) => {
    const object = {};
    for (let i = 0; i < columns.length; i++) object[columns[i]] = row[i];
    return object;
  });
  return { columns, rows: objects, rowCount: rowCount ?? rows.length, affectedRows };
}

/** What a request without a name gives, which need not be JSON. */
function readAnything(text) {
  try {
    return parse(text);
  } catch {
    return text;
  }
}

/** What pools and clients have in common: on a pool each takes a client for itself alone. */
class Operations {
  healthCheck(options) {
    return run(this, operation.health_check, [], parse, options);
  }

  listDatabases(options) {
    return run(this, operation.list_databases, [], parse, options);
  }

  createDatabase(name, options) {
    return run(this, operation.create_database, [name], parse, options);
  }

  dropDatabase(database, options) {
    return run(this, operation.drop_database, [database], parse, options);
  }

  listTables(database, options) {
    return run(this, operation.list_tables, [database], parse, options);
  }

  createTable(database, name, columns, options) {
    return run(this, operation.create_table, [database, name, columns], parse, options);
  }

  dropTable(database, table, options) {
    return run(this, operation.drop_table, [database, table], parse, options);
  }

  insert(database, table, row, options) {
    return run(this, operation.insert, [database, table, row], parse, options);
  }

  select(database, table, condition, options) {
    return run(this, operation.select, [database, table, condition], parse, options);
  }

  update(database, table, data, condition, options) {
    return run(this, operation.update, [database, table, data, condition], parse, options);
  }

  delete(database, table, condition, options) {
    return run(this, operation.delete, [database, table, condition], parse, options);
  }

  executeQuery(database, sql, parameters, options) {
    return run(this, operation.execute_query, [database, sql, parameters], readQuery, options);
  }

  request(method, path, body, options) {
    return request(this, method, path, body, options);
  }
}

module.exports = { IS_POOL, Operations, TARGET, operation, run };
