import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { test } from 'node:test';
import { createPool, failure, holdingServer, json, pool, server } from './support.mjs';

/** Every call that takes a signal, on a pool or a client. */
function calls(on, isClient) {
  const all = {
    healthCheck: (o) => on.healthCheck(o),
    listDatabases: (o) => on.listDatabases(o),
    createDatabase: (o) => on.createDatabase('d', o),
    dropDatabase: (o) => on.dropDatabase('d', o),
    listTables: (o) => on.listTables('d', o),
    createTable: (o) => on.createTable('d', 't', [], o),
    dropTable: (o) => on.dropTable('d', 't', o),
    insert: (o) => on.insert('d', 't', {}, o),
    select: (o) => on.select('d', 't', undefined, o),
    update: (o) => on.update('d', 't', {}, undefined, o),
    delete: (o) => on.delete('d', 't', '1=1', o),
    executeQuery: (o) => on.executeQuery('d', 'SELECT 1', [], o),
    request: (o) => on.request('GET', '/', undefined, o),
  };
  if (isClient) all.beginTransaction = (o) => on.beginTransaction(null, o);
  else all.query = (o) => on.query('d', 'SELECT 1', [], o);
  return Object.entries(all);
}

/** Rejects as an abort with this reason does. */
function abortedBy(reason) {
  return (error) => {
    assert.ok(failure('CANCELLED')(error));
    assert.equal(error.name, 'AbortError');
    assert.equal(error.cause, reason);
    return true;
  };
}

test('a call whose signal is aborted already sends nothing', async (t) => {
  const held = await holdingServer(t);
  const db = pool(t, { baseUrl: held.url });
  const reason = new Error('enough');
  const signal = AbortSignal.abort(reason);
  const client = await db.acquire();
  for (const [name, call] of [...calls(db, false), ...calls(client, true)]) {
    await assert.rejects(call({ signal }), abortedBy(reason), name);
  }
  await assert.rejects(db.acquire({ signal }), abortedBy(reason));
  await assert.rejects(db.use(assert.fail, { signal }), abortedBy(reason));
  client.release();
  assert.equal(held.waiting.length, 0);
  assert.equal(db.getStatus().used, 0);
  // Each call on the pool would have been an acquire.
  assert.equal(db.getStats().acquires.cancelled, calls(db, false).length + 2);
  await db.close();
  await assert.rejects(db.acquire({ signal }), failure('CLOSED'));
});

test('a call that waits for a connection is aborted at once', async (t) => {
  const held = await holdingServer(t);
  const db = pool(t, { baseUrl: held.url, minConnections: 1, maxConnections: 1 });
  const client = await db.acquire();
  for (const [name, call] of [
    ...calls(db, false),
    ['acquire', (o) => db.acquire(o)],
    ['use', (o) => db.use(assert.fail, o)],
  ]) {
    const controller = new AbortController();
    const called = call({ signal: controller.signal });
    assert.equal(db.getStatus().pending, 1, name);
    controller.abort(name);
    assert.equal(db.getStatus().pending, 0, name);
    await assert.rejects(called, abortedBy(name), name);
  }
  client.release();
  assert.equal(held.waiting.length, 0);
  const again = await db.acquire();
  again.release();
});

test('a request in flight is cut, and its connection replaced', async (t) => {
  const held = await holdingServer(t);
  const db = pool(t, { baseUrl: held.url, minConnections: 1, maxConnections: 1 });
  const cut = async (name, call) => {
    const controller = new AbortController();
    const called = call({ signal: controller.signal });
    await held.holds(1);
    controller.abort(name);
    await assert.rejects(called, abortedBy(name), name);
    await held.holds(0);
  };
  for (const [name, call] of calls(db, false)) await cut(name, call);
  await db.use(async (client) => {
    for (const [name, call] of calls(client, true)) await cut(name, call);
  });
  const last = db.healthCheck();
  await held.holds(1);
  held.respond({ status: 'healthy' });
  assert.deepEqual(await last, { status: 'healthy' });
});

test('of requests that wait for their turn on a client just one is aborted', async (t) => {
  const held = await holdingServer(t);
  const db = pool(t, { baseUrl: held.url });
  await db.use(async (client) => {
    const controller = new AbortController();
    const first = client.healthCheck();
    const second = client.healthCheck({ signal: controller.signal });
    const third = client.healthCheck();
    controller.abort('second');
    await assert.rejects(second, abortedBy('second'));
    await held.holds(1);
    held.respond({ n: 1 });
    await held.holds(1);
    held.respond({ n: 3 });
    assert.deepEqual(await Promise.all([first, third]), [{ n: 1 }, { n: 3 }]);
  });
});

test('a signal that comes late does nothing, and is let go', async (t) => {
  const held = await holdingServer(t);
  const db = pool(t, { baseUrl: held.url });
  const controller = new AbortController();
  const listeners = { added: 0, removed: 0 };
  const { signal } = controller;
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = (...all) => {
    listeners.added++;
    addEventListener.apply(signal, all);
  };
  signal.removeEventListener = (...all) => {
    listeners.removed++;
    removeEventListener.apply(signal, all);
  };
  const called = db.healthCheck({ signal });
  await held.holds(1);
  held.respond({ status: 'healthy' });
  assert.deepEqual(await called, { status: 'healthy' });
  controller.abort();
  assert.deepEqual(listeners, { added: 1, removed: 1 });
});

test('aborts at random lose no connection', async (t) => {
  const held = await holdingServer(t);
  const db = createPool({ baseUrl: held.url, maxConnections: 3 });
  let [served, aborted] = [0, 0];
  const one = async (n) => {
    const controller = new AbortController();
    const { signal } = controller;
    if (n % 3 !== 0) setImmediate(() => controller.abort());
    try {
      await db.use((client) => client.healthCheck({ signal }), { signal });
      served++;
    } catch (error) {
      assert.ok(failure('CANCELLED')(error));
      aborted++;
    }
  };
  let isOver = false;
  const responding = (async () => {
    while (!isOver) {
      while (held.waiting.length > 0) held.respond();
      await new Promise((resolve) => setImmediate(resolve));
    }
  })();
  for (let round = 0; round < 20; round++) {
    await Promise.all(Array.from({ length: 60 }, (_, n) => one(n)));
  }
  isOver = true;
  await responding;
  assert.ok(served >= 400 && aborted > 0, `${served} served, ${aborted} aborted`);
  assert.equal(db.getStatus().used, 0);
  const all = await Promise.all([db.acquire(), db.acquire(), db.acquire()]);
  for (const client of all) client.release();
  await db.close();
});

test('any number of calls share one listener on a signal, and Node.js has nothing to warn of', async (t) => {
  const held = await holdingServer(t);
  const db = pool(t, { baseUrl: held.url, minConnections: 0, maxConnections: 4 });
  const warnings = [];
  const onWarning = (warning) => warnings.push(warning);
  process.on('warning', onWarning);
  t.after(() => process.off('warning', onWarning));
  const controller = new AbortController();
  const { signal } = controller;
  const all = Array.from({ length: 50 }, () => db.healthCheck({ signal }));
  await held.holds(4);
  assert.equal(getEventListeners(signal, 'abort').length, 1);
  // One is over before the signal comes; the others end with it. Which one, the order of the dials decides.
  held.respond();
  await Promise.race(all);
  assert.equal(getEventListeners(signal, 'abort').length, 1);
  controller.abort('enough');
  const ends = await Promise.allSettled(all);
  const aborted = ends.filter(({ reason }) => reason?.cause === 'enough');
  assert.equal(aborted.length, 49);
  assert.equal(getEventListeners(signal, 'abort').length, 0);
  // Again with one that never comes: nothing is left on it.
  const served = pool(t, { baseUrl: await server(t, (_, response) => json(response, {})) });
  const other = new AbortController().signal;
  for (let round = 0; round < 3; round++) {
    const calls = [
      served.healthCheck({ signal: other }),
      served.listTables('..', { signal: other }),
    ];
    await Promise.allSettled(calls.concat(calls.map(() => served.healthCheck({ signal: other }))));
    assert.equal(getEventListeners(other, 'abort').length, 0);
  }
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(warnings, []);
  assert.equal(db.getStatus().used, 0);
});
