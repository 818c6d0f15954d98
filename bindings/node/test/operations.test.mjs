import assert from 'node:assert/strict';
import { test } from 'node:test';
import { devserver, failure, holdingServer, pool, table } from './support.mjs';

test('every operation, on a client and on the pool', async (t) => {
  const url = await devserver(t);
  const db = pool(t, { baseUrl: url });
  const client = await db.acquire();
  for (const on of [client, db]) {
    const name = on === db ? 'of the pool' : 'of a client';
    assert.equal((await on.healthCheck()).status, 'healthy');
    assert.equal((await on.createDatabase(name)).name, name);
    assert.ok((await on.listDatabases()).includes(name));
    await on.createTable(name, 'people', [
      { name: 'id', type: 'integer', primaryKey: true },
      { name: 'name', type: 'string' },
    ]);
    assert.deepEqual(await on.listTables(name), ['people']);
    await on.insert(name, 'people', { id: 1, name: 'Ada' });
    await on.insert(name, 'people', { id: 2, name: 'Grace "G" Höpper 🦜\n' });
    assert.deepEqual(await on.select(name, 'people', 'id = 2'), [
      { id: 2, name: 'Grace "G" Höpper 🦜\n' },
    ]);
    assert.equal((await on.select(name, 'people')).length, 2);
    assert.equal((await on.select(name, 'people', null)).length, 2);
    assert.equal((await on.update(name, 'people', { name: 'A' }, 'id = 1')).count, 1);
    const found = await on.executeQuery(name, 'SELECT id, name FROM people WHERE id = ?', [1]);
    assert.deepEqual(
      { ...found },
      {
        columns: ['id', 'name'],
        rows: [{ id: 1, name: 'A' }],
        rowCount: 1,
        affectedRows: 0,
      },
    );
    assert.equal((await on.executeQuery(name, 'DELETE FROM people')).affectedRows, 2);
    await on.insert(name, 'people', { id: 3, name: null });
    assert.equal((await on.delete(name, 'people', '1=1')).count, 1);
    assert.deepEqual(await on.request('GET', '/health'), await on.healthCheck());
    assert.match(await on.request('GET', '/metrics'), /^# /);
    const path = `/databases/${encodeURIComponent(name)}/tables/people`;
    await on.request('POST', path, { id: 4, name: 'raw' });
    assert.equal((await on.request('GET', `${path}?condition=id%3D4`)).records.length, 1);
    await on.dropTable(name, 'people');
    await on.dropDatabase(name);
    assert.ok(!(await on.listDatabases()).includes(name));
  }
  assert.deepEqual(await db.query('x', 'SELECT 1').catch((error) => error.status), 404);
  client.release();
});

test('transactions belong to a client', async (t) => {
  const db = pool(t, { baseUrl: await devserver(t) });
  await table(db, 'd');
  const count = async (on) => (await on.query?.('d', 'SELECT n FROM t'))?.rowCount;
  await db.use(async (client) => {
    const id = await client.beginTransaction('d');
    assert.equal(typeof id, 'string');
    await client.insert('d', 't', { n: 1 });
    await assert.rejects(client.beginTransaction(), failure('INVALID_STATE', 'open'));
    await client.commitTransaction(id);
    await client.beginTransaction();
    await client.insert('d', 't', { n: 2 });
    await client.rollbackTransaction();
    await assert.rejects(client.commitTransaction('x'), failure('INVALID_STATE'));
    await client.beginTransaction('d');
    await client.insert('d', 't', { n: 3 });
    // The release rolls it back.
  });
  assert.equal(await count(db), 1);
  assert.equal(db.beginTransaction, undefined);
});

test('requests on one client run in the order in which they were made', async (t) => {
  const db = pool(t, { baseUrl: await devserver(t) });
  await table(db, 'd');
  await db.use(async (client) => {
    const done = [];
    await Promise.all(
      Array.from({ length: 50 }, (_, n) => client.insert('d', 't', { n }).then(() => done.push(n))),
    );
    assert.deepEqual(done, [...done.keys()]);
    const rows = await client.select('d', 't');
    assert.deepEqual(
      rows.map((row) => row.n),
      done,
    );
  });
});

test('a delete without a condition is refused, and the table stays', async (t) => {
  const db = pool(t, { baseUrl: await devserver(t) });
  await table(db, 'd');
  await assert.rejects(db.delete('d', 't'), failure('INVALID_ARGUMENT', 'condition: is missing'));
  await assert.rejects(db.delete('d', 't', '  '), failure('INVALID_ARGUMENT', 'condition'));
  assert.deepEqual(await db.listTables('d'), ['t']);
});

test('numbers that a JavaScript number can not hold are exact', async (t) => {
  const db = pool(t, { baseUrl: await devserver(t) });
  await table(db, 'd');
  const large = 9223372036854775807n;
  await db.insert('d', 't', { n: large, s: `"\u0001n12345678901234567890", ${large}` });
  await db.insert('d', 't', { n: 2 ** 53 - 1, s: '1e20' });
  const rows = await db.select('d', 't');
  assert.deepEqual(rows, [
    { n: large, s: `"\u0001n12345678901234567890", ${large}` },
    { n: 2 ** 53 - 1, s: '1e20' },
  ]);
  const found = await db.query('d', 'SELECT n, -n AS m, 1.5e300 AS f FROM t WHERE n = ?', [large]);
  assert.deepEqual(found.rows, [{ n: large, m: -large, f: 1.5e300 }]);
});

test('what can not be sent is refused by its name', async (t) => {
  const db = pool(t, { baseUrl: await devserver(t) });
  const circle = {};
  circle.circle = circle;
  const refused = [
    [db.listTables(), 'database: is missing'],
    [db.listTables(7), 'database: must be a string'],
    [db.listTables('..'), 'database:'],
    [db.listTables('a\0b'), 'database: has a NUL'],
    [db.insert('d', 't'), 'row: is missing'],
    [db.insert('d', 't', [1]), 'row:'],
    [db.insert('d', 't', circle), 'row: nests deeper than 128 levels, or contains itself'],
    [db.executeQuery('d', 'SELECT 1', 'x'), 'parameters:'],
    [db.executeQuery('d', '  '), 'sql:'],
    [db.request('GET', 'no slash'), 'path:'],
    [db.request('G T', '/'), 'method:'],
    [db.select('d', 't', 'x'.repeat(100_000)), 'condition:'],
    [db.healthCheck({ signal: 'now' }), 'signal: must be an AbortSignal'],
  ];
  for (const [call, words] of refused) {
    await assert.rejects(call, failure('INVALID_ARGUMENT', words), words);
  }
  const long = `${'é'.repeat(5000)}`;
  await db.createDatabase('long').then(() => table(db, 'd'));
  await db.insert('d', 't', { s: long });
  assert.deepEqual(await db.select('d', 't', `s = '${'é'.repeat(200)}' OR 1=1`), [
    { n: null, s: long },
  ]);
});

test('what can not be sent is refused by the name of its argument, and nothing is sent', async (t) => {
  const held = await holdingServer(t);
  const db = pool(t, { baseUrl: held.url });
  const half = 'a\ud800';
  const refused = [
    [db.createDatabase(half), 'name: has an unpaired surrogate'],
    [db.dropDatabase(half), 'database: has an unpaired surrogate'],
    [db.dropTable('d', '\udc00'), 'table: has an unpaired surrogate'],
    [db.select('d', 't', `s = '${'\udbff'.repeat(1000)}'`), 'condition: has an unpaired surrogate'],
    [db.executeQuery('d', `SELECT '${half}'`), 'sql: has an unpaired surrogate'],
    [db.executeQuery('d', 'SELECT ?', [half]), 'parameters: [0] has an unpaired surrogate'],
    [db.insert('d', 't', { s: half }), 'row: s has an unpaired surrogate'],
    [db.insert('d', 't', { [half]: 1 }), 'row:'],
    [db.update('d', 't', { n: Number.NaN }), 'data: n is NaN'],
    [db.insert('d', 't', { n: [Number.POSITIVE_INFINITY] }), 'row: n[0] is Infinity'],
    [db.createTable('d', 't', [{ name: half }]), 'columns: [0].name has an unpaired surrogate'],
    [db.request('POST', '/x', { s: half }), 'body: s has an unpaired surrogate'],
    [db.request('POST', '/x', () => 1), "body: can't be written as JSON"],
    [db.executeQuery('d', 'SELECT 1', Symbol('s')), "parameters: can't be written as JSON"],
    [db.insert('d', 't', new Map([['a', 1]])), 'row: is of type Map'],
    [db.insert('d', 't', { name: Promise.resolve('Ada') }), 'row: name is of type Promise'],
    [db.request('POST', `/${half}`), 'path: has an unpaired surrogate'],
  ];
  for (const [call, words] of refused) {
    await assert.rejects(call, failure('INVALID_ARGUMENT', words), words);
  }
  assert.throws(() => db.setToken(half), failure('INVALID_ARGUMENT', 'token: has an unpaired'));
  assert.throws(
    () => pool(t, { baseUrl: `http://${half}` }),
    failure('INVALID_ARGUMENT', 'baseUrl: has an'),
  );
  await db.use((client) => {
    assert.throws(
      () => client.setOwner(half),
      failure('INVALID_ARGUMENT', 'owner: has an unpaired'),
    );
  });
  assert.equal(held.waiting.length, 0);
  // A whole pair, and the replacement character itself, are as good as any.
  const sent = db.select('d', 't', "s = '🦜\ufffd'");
  await held.holds(1);
  held.respond({ records: [] });
  assert.deepEqual(await sent, []);
});
