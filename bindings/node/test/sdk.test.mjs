// The names and fields of PhantomDB's own JavaScript SDK: docs/sdk.md has them in a table.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import phantomdb from '../lib/index.js';
import { createPool } from '../lib/pool.js';
import { devserver, failure, holdingServer, program } from './support.mjs';

const { PhantomDB, PhantomDBConnectionPool, PhantomDBError, connect } = phantomdb;

test('the program of the SDK’s README runs unchanged', async (t) => {
  const db = new PhantomDB(await devserver(t));
  t.after(() => db.close());
  assert.equal((await db.healthCheck()).status, 'healthy');
  await db.createDatabase('example_db');
  assert.deepEqual(await db.listDatabases(), ['example_db']);
  const columns = [
    { name: 'id', type: 'int' },
    { name: 'name', type: 'string' },
  ];
  await db.createTable('example_db', 'users', columns);
  await db.insert('example_db', 'users', { id: '1', name: 'John Doe' });
  assert.deepEqual(await db.select('example_db', 'users'), [{ id: 1, name: 'John Doe' }]);
  await db.update('example_db', 'users', { name: 'Jane Doe' }, 'id = 1');
  const txnId = await db.beginTransaction();
  await db.insert('example_db', 'users', { id: '3', name: 'Bob Johnson' });
  await db.commitTransaction(txnId);
  await db.rollbackTransaction(await db.beginTransaction());
  const result = await db.executeQuery('example_db', 'SELECT name FROM users ORDER BY id');
  const rows = [{ name: 'Jane Doe' }, { name: 'Bob Johnson' }];
  assert.deepEqual([result.rows, result.records, result.results], [rows, rows, rows]);
  assert.deepEqual([result.rowCount, result.affected_rows], [2, result.affectedRows]);
  await db.delete('example_db', 'users', 'id = 1');
  await db.dropTable('example_db', 'users');
  await db.dropDatabase('example_db');
  await assert.rejects(db.listTables('example_db'), (error) => error instanceof PhantomDBError);
  await assert.rejects(db.delete('example_db', 'users'), failure('INVALID_ARGUMENT', 'condition'));
});

test('a client without a pool is one connection, whose requests run in turn', async (t) => {
  const held = await holdingServer(t);
  const db = connect(`${held.url}/`);
  assert.equal(db.baseUrl, held.url);
  assert.ok(db instanceof PhantomDB);
  const all = [db.healthCheck(), db.listDatabases()];
  await held.holds(1);
  held.respond({ status: 'healthy' });
  await held.holds(1);
  const lost = assert.rejects(all[1], failure('CLOSED', 'closed'));
  await db.close();
  await lost;
  assert.deepEqual(await all[0], { status: 'healthy' });
  await assert.rejects(db.healthCheck(), failure('CLOSED', 'closed'));
});

test('it takes the options that make sense for one connection', () => {
  assert.equal(new PhantomDB().baseUrl, 'http://localhost:8080');
  assert.equal(connect({ requestTimeout: 5, token: 'x' }).baseUrl, 'http://localhost:8080');
  for (const [options, words] of [
    [{ maxConnections: 5 }, 'maxConnections: is an option of a pool'],
    [{ nonsense: 5 }, 'nonsense: '],
    [5, 'baseUrl: must be a string'],
    [null, 'baseUrl: must be a string'],
    ['ftp://x', 'baseUrl: '],
    ['http://a\ud800', 'baseUrl: has an unpaired surrogate'],
  ]) {
    assert.throws(() => connect(options), failure('INVALID_ARGUMENT', words), words);
  }
});

test('one that is dropped is closed, and nobody is warned', async (t) => {
  const url = await devserver(t);
  const { stdout, stderr } = await program('forgotten.cjs', [url], { node: ['--expose-gc'] });
  assert.deepEqual([stdout.trim(), stderr], ['done', '']);
});

test('the pool has the SDK’s name and fields', async () => {
  const pool = new PhantomDBConnectionPool({
    baseUrl: 'http://localhost:8080/',
    maxConnections: 3,
  });
  assert.ok(createPool() instanceof PhantomDBConnectionPool);
  const fields = ({
    baseUrl,
    minConnections,
    maxConnections,
    acquireTimeout,
    idleTimeout,
    closed,
  }) => [baseUrl, minConnections, maxConnections, acquireTimeout, idleTimeout, closed];
  assert.deepEqual(fields(pool), ['http://localhost:8080', 2, 3, 30000, 60000, false]);
  pool.resize(1, 7);
  assert.deepEqual([pool.minConnections, pool.maxConnections], [1, 7]);
  await pool.close();
  assert.equal(pool.closed, true);
  await assert.rejects(pool.acquire(), /closed/);
});
