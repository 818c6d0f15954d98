import assert from 'node:assert/strict';
import { test } from 'node:test';
import { holdingServer, pool, server } from './support.mjs';

/** Each call that gives a promise, on a pool and on a client, in a way that fails later. */
function failing(db, client) {
  const all = {};
  for (const [kind, on] of Object.entries({ pool: db, client })) {
    all[`${kind}.healthCheck`] = () => on.healthCheck();
    all[`${kind}.listDatabases`] = () => on.listDatabases();
    all[`${kind}.createDatabase`] = () => on.createDatabase('d');
    all[`${kind}.dropDatabase`] = () => on.dropDatabase('d');
    all[`${kind}.listTables`] = () => on.listTables('d');
    all[`${kind}.createTable`] = () => on.createTable('d', 't', []);
    all[`${kind}.dropTable`] = () => on.dropTable('d', 't');
    all[`${kind}.insert`] = () => on.insert('d', 't', {});
    all[`${kind}.select`] = () => on.select('d', 't');
    all[`${kind}.update`] = () => on.update('d', 't', {});
    all[`${kind}.delete`] = () => on.delete('d', 't', '1=1');
    all[`${kind}.executeQuery`] = () => on.executeQuery('d', 'SELECT 1');
    all[`${kind}.request`] = () => on.request('GET', '/');
  }
  all['pool.query'] = () => db.query('d', 'SELECT 1');
  all['client.beginTransaction'] = () => client.beginTransaction();
  all['pool.use'] = () => db.use((it) => it.healthCheck());
  return Object.entries(all);
}

test('the stack of each error names who awaits the call', async (t) => {
  const url = await server(t, (_, response) => response.writeHead(500).end('{"error":"no"}'));
  const db = pool(t, { baseUrl: url });
  const client = await db.acquire();
  async function theCaller(call) {
    await new Promise((resolve) => setImmediate(resolve));
    await call();
  }
  async function itsCaller(call) {
    await theCaller(call);
  }
  for (const [name, call] of failing(db, client)) {
    await assert.rejects(itsCaller(call), (error) => {
      assert.equal(error.code, 'HTTP', name);
      assert.match(error.stack, /at async theCaller .*\n.*at async itsCaller /, name);
      return true;
    });
  }
  client.release();
});

test('so does that of a call which waits for a connection, is aborted or closed', async (t) => {
  const held = await holdingServer(t);
  const db = pool(t, { baseUrl: held.url, minConnections: 1, maxConnections: 1 });
  const client = await db.acquire();
  async function theCaller(call) {
    await call();
  }
  const controller = new AbortController();
  const failures = [
    [theCaller(() => db.acquire({ timeout: 20 })), 'TIMEOUT'],
    [theCaller(() => db.acquire({ signal: controller.signal })), 'CANCELLED'],
    [theCaller(() => client.healthCheck({ signal: controller.signal })), 'CANCELLED'],
    [theCaller(() => db.listTables('..')), 'INVALID_ARGUMENT'],
  ].map(([promise, code]) =>
    assert.rejects(promise, (error) => {
      assert.equal(error.code, code);
      assert.match(error.stack, /theCaller/, code);
      return true;
    }),
  );
  await held.holds(1);
  controller.abort();
  await Promise.all(failures);
  const closed = [() => db.acquire(), () => client.healthCheck()].map((call) =>
    assert.rejects(theCaller(call), (error) => {
      assert.equal(error.code, 'CLOSED');
      assert.match(error.stack, /at async theCaller/);
      return true;
    }),
  );
  await db.close({ timeout: 0 });
  await Promise.all(closed);
});
