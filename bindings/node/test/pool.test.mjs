import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import {
  createPool,
  devserver,
  eventually,
  failure,
  here,
  holdingServer,
  json,
  PhantomDBError,
  pool,
  server,
} from './support.mjs';

const NOBODY = 'http://127.0.0.1:9';

test('a new pool reports its minimum available, with no server', (t) => {
  const db = pool(t, { baseUrl: NOBODY });
  assert.deepEqual(db.getStatus(), { available: 2, used: 0, pending: 0, min: 2, max: 10 });
  assert.deepEqual(pool(t).getStatus().max, 10);
});

test('the library has an option of each name in phantomdb.h, and no other', (t) => {
  const header = readFileSync(path.join(here, '../../../include/phantomdb.h'), 'utf8');
  const body = header.match(
    /typedef struct phantomdb_pool_options \{(.*?)\} phantomdb_pool_options;/s,
  )[1];
  const members = [...body.matchAll(/^ {4}[a-z].*?\**(?:\(\*(\w+)\)|(\w+);)/gm)]
    .map(([, callback, member]) => callback ?? member)
    .filter((name) => !['struct_size', 'reserved', 'log_user_data'].includes(name))
    .map((name) =>
      name.replace(/_ms$/, '').replace(/_(.)/g, (_, initial) => initial.toUpperCase()),
    );
  assert.ok(members.length > 20, members.join());
  const values = { validation: 'ping', preconnect: false, baseUrl: NOBODY, log: () => {} };
  const files = ['tlsCaFile', 'tlsCertFile', 'tlsKeyFile', 'token'];
  for (const name of members) {
    const value = values[name] ?? (files.includes(name) ? undefined : 5);
    pool(t, { [name]: value });
  }
  assert.throws(
    () => createPool({ maxConnection: 5 }),
    failure('INVALID_ARGUMENT', 'maxConnection: is not an option'),
  );
});

test('options that make no sense are refused by their name', () => {
  const refused = [
    [{ maxConnections: 0 }, 'maxConnections: 0 is not between'],
    [{ maxConnections: 1.5 }, 'maxConnections: must be a whole number'],
    [{ maxConnections: '5' }, 'maxConnections: must be a number'],
    [{ minConnections: 11 }, 'minConnections: 11 is more than maxConnections (10)'],
    [{ acquireTimeout: -1 }, 'acquireTimeout: must be a time in milliseconds'],
    [{ acquireTimeout: 0 }, 'acquireTimeout: must be more than zero'],
    [{ acquireTimeout: Number.NaN }, 'acquireTimeout: must be a time'],
    [{ idleTimeout: Number.POSITIVE_INFINITY }, 'idleTimeout: must be a time'],
    [{ validation: 'maybe' }, "validation: must be one of 'socket', 'ping', 'none'"],
    [{ preconnect: 1 }, 'preconnect: must be true or false'],
    [{ baseUrl: 'ftp://x' }, 'baseUrl:'],
    [{ baseUrl: 7 }, 'baseUrl: must be a string'],
    [{ token: 'two words' }, 'token:'],
    [{ tlsKeyFile: 'key.pem' }, 'tlsKeyFile: needs tlsCertFile'],
    [{ log: 'console' }, 'log: must be a function'],
    ['http://localhost', 'options: must be an object'],
  ];
  for (const [options, words] of refused) {
    assert.throws(() => createPool(options), failure('INVALID_ARGUMENT', words), words);
  }
});

test('acquire and release, and what status says meanwhile', async (t) => {
  const db = pool(t, { baseUrl: await devserver(t), maxConnections: 2 });
  const first = await db.acquire();
  assert.deepEqual(db.getStatus(), { available: 1, used: 1, pending: 0, min: 2, max: 2 });
  const second = await db.acquire();
  const order = [];
  const waiting = [1, 2, 3].map((n) => db.use(() => order.push(n)));
  assert.equal(db.getStatus().pending, 3);
  assert.throws(() => db.tryAcquire(), failure('WOULD_BLOCK'));
  await first.healthCheck();
  first.release();
  await Promise.all(waiting);
  assert.deepEqual(order, [1, 2, 3]);
  db.release(second);
  assert.equal(db.getStatus().used, 0);
  const third = db.tryAcquire({ owner: 'me' });
  assert.equal(third.pool, db);
  third.discard();
});

test('a client is gone with its release', async (t) => {
  const url = await devserver(t);
  const [db, other] = [pool(t, { baseUrl: url }), pool(t, { baseUrl: url })];
  const client = await db.acquire();
  assert.throws(() => other.release(client), failure('INVALID_HANDLE', 'another pool'));
  assert.throws(() => db.release({}), failure('INVALID_ARGUMENT', 'client'));
  assert.throws(() => db.release(null), failure('INVALID_ARGUMENT', 'client'));
  assert.equal(client.isReleased, false);
  db.release(client);
  assert.equal(client.isReleased, true);
  assert.throws(() => db.release(client), failure('INVALID_HANDLE', 'released already'));
  assert.throws(() => client.release(), failure('INVALID_HANDLE', 'released already'));
  assert.throws(() => client.discard(), failure('INVALID_HANDLE', 'released already'));
  assert.throws(() => client.setOwner('x'), failure('INVALID_HANDLE', 'released already'));
  await assert.rejects(client.listDatabases(), failure('INVALID_HANDLE', 'released already'));
  await assert.rejects(client.request('GET', '/'), failure('INVALID_HANDLE', 'released already'));
  assert.deepEqual([db.getStatus().used, other.getStatus().used], [0, 0]);
});

test('use releases whatever happens', async (t) => {
  const db = pool(t, { baseUrl: NOBODY, validation: 'none' });
  assert.equal(await db.use(() => 7), 7);
  await assert.rejects(
    db.use(() => {
      throw new Error('mine');
    }),
    /mine/,
  );
  await assert.rejects(
    db.use(async () => Promise.reject(new Error('mine'))),
    /mine/,
  );
  await db.use((client) => client.release());
  await assert.rejects(db.use('work'), failure('INVALID_ARGUMENT', 'work: must be a function'));
  assert.equal(db.getStatus().used, 0);
});

test('clients and pools dispose of themselves', { skip: !Symbol.asyncDispose }, async (_t) => {
  const db = createPool({ baseUrl: NOBODY, validation: 'none' });
  const client = await db.acquire();
  await client[Symbol.asyncDispose]();
  assert.equal(db.getStatus().used, 0);
  (await db.acquire())[Symbol.dispose]();
  assert.equal(db.getStatus().used, 0);
  await db[Symbol.asyncDispose]();
  await assert.rejects(db.acquire(), failure('CLOSED'));
});

test('a time-out says so', async (t) => {
  const db = pool(t, {
    baseUrl: NOBODY,
    validation: 'none',
    minConnections: 1,
    maxConnections: 1,
    acquireTimeout: 20,
  });
  const client = await db.acquire();
  await assert.rejects(db.acquire(), (error) => {
    assert.ok(failure('TIMEOUT', 'Timeout', '1 of 1')(error));
    assert.equal(error.retriable, true);
    assert.equal(error.name, 'PhantomDBError');
    return true;
  });
  await assert.rejects(
    db.use(() => {}, { timeout: 1 }),
    failure('TIMEOUT'),
  );
  await assert.rejects(db.acquire({ timeout: 'long' }), failure('INVALID_ARGUMENT', 'timeout'));
  client.release();
});

test('a closed pool says so, and closing again is fine', async (t) => {
  const db = createPool({ baseUrl: await devserver(t), minConnections: 1, maxConnections: 1 });
  const client = await db.acquire();
  const waits = assert.rejects(db.acquire(), failure('CLOSED', 'closed'));
  const closing = [db.close(), db.close()];
  await waits;
  client.release();
  await Promise.all(closing);
  await db.close();
  await assert.rejects(db.acquire(), failure('CLOSED', 'closed'));
  await assert.rejects(db.healthCheck(), failure('CLOSED', 'closed'));
  assert.throws(() => db.getStatus(), failure('CLOSED', 'closed'));
  assert.throws(() => db.getStats(), failure('CLOSED', 'closed'));
  assert.throws(() => db.tryAcquire(), failure('CLOSED', 'closed'));
  assert.throws(() => db.reset(), failure('CLOSED', 'closed'));
});

test('close cuts what does not come back', async (t) => {
  const held = await holdingServer(t);
  const db = createPool({ baseUrl: held.url });
  const client = await db.acquire();
  const inFlight = assert.rejects(client.healthCheck(), failure('CLOSED', 'closed'));
  await held.holds(1);
  const slow = db.close();
  await db.close({ timeout: 0 });
  await Promise.all([slow, inFlight]);
  await assert.rejects(client.healthCheck(), failure('CLOSED', 'closed'));
  // Nothing is left to do, and nothing is wrong.
  client.release();
});

test('a server that can not be reached is named, with the time for a new try', async (t) => {
  const db = pool(t, { baseUrl: NOBODY, minConnections: 0 });
  await assert.rejects(db.healthCheck(), (error) => {
    assert.ok(failure('UNAVAILABLE', '127.0.0.1:9')(error));
    assert.ok(error.retriable);
    return error instanceof PhantomDBError && error instanceof Error;
  });
  await assert.rejects(
    db.acquire(),
    (error) => error.retryAfter === undefined || error.retryAfter > 0,
  );
});

test('what the server refuses has its status', async (t) => {
  const url = await server(t, (request, response) => {
    const status = Number(request.url.split('/')[2]);
    json(response, { code: 'X', message: `refused ${status}` }, status);
  });
  const db = pool(t, { baseUrl: url, token: 'hush-hush' });
  for (const [status, code] of [
    [400, 'HTTP'],
    [401, 'UNAUTHORIZED'],
    [404, 'HTTP'],
    [409, 'HTTP'],
    [500, 'HTTP'],
  ]) {
    await assert.rejects(db.request('GET', `/x/${status}`), (error) => {
      assert.ok(failure(code, `refused ${status}`)(error));
      assert.equal(error.status, status);
      assert.ok(!error.stack.includes('hush-hush'));
      return true;
    });
  }
});

test('the token, as it is at each request', async (t) => {
  const seen = [];
  const url = await server(t, (request, response) => {
    seen.push(request.headers.authorization);
    json(response, {});
  });
  const db = pool(t, { baseUrl: url, token: 'one' });
  await db.healthCheck();
  db.setToken('two');
  await db.healthCheck();
  db.setToken(null);
  await db.healthCheck();
  assert.deepEqual(seen, ['Bearer one', 'Bearer two', undefined]);
  assert.throws(() => db.setToken('two words'), failure('INVALID_ARGUMENT', 'token'));
  assert.throws(() => db.setToken(7), failure('INVALID_ARGUMENT', 'token: must be a string'));
});

test('statistics and metrics, reset and resize', async (t) => {
  const db = pool(t, { baseUrl: await devserver(t), maxConnections: 3 });
  for (let i = 0; i < 5; i++) await db.healthCheck();
  const stats = db.getStats();
  assert.equal(stats.acquires.direct, 5);
  assert.match(db.getMetrics(), /^# EOF$/m);
  db.reset();
  await eventually(() => db.getStatus().available === 2);
  db.resize(0, 1);
  assert.deepEqual([db.getStatus().min, db.getStatus().max], [0, 1]);
  assert.throws(() => db.resize(2, 1), failure('INVALID_ARGUMENT', 'minConnections: 2 is more'));
  assert.throws(() => db.resize(0.5, 1), failure('INVALID_ARGUMENT', 'minConnections'));
  assert.throws(() => db.resize(0, '1'), failure('INVALID_ARGUMENT', 'maxConnections'));
  assert.equal((await db.healthCheck()).status, 'healthy');
});

test('leaks and outages are told to the log', async (t) => {
  const told = [];
  let tell = () => {};
  const log = (level, message) => {
    told.push([level, message]);
    tell();
  };
  const hears = async (words) => {
    // A pool that is idle does not keep the process alive, though it may have something to tell.
    const alive = setTimeout(() => {}, 60_000);
    while (!told.some(([, message]) => message.includes(words))) {
      await new Promise((resolve) => (tell = resolve));
    }
    clearTimeout(alive);
  };
  const db = pool(t, { baseUrl: NOBODY, minConnections: 0, log });
  await assert.rejects(db.healthCheck(), failure('UNAVAILABLE'));
  await hears("can't be reached");
  const leaky = pool(t, { baseUrl: await devserver(t), leakThreshold: 20, log });
  const client = await leaky.acquire({ owner: 'the forgetful' });
  await hears('by `the forgetful`');
  client.release();
  assert.ok(told.every(([level]) => level === 'warning' || level === 'info'));
});

test('an argument that can not be used changes nothing, whatever it is', async (t) => {
  const db = pool(t, { baseUrl: NOBODY, validation: 'none', minConnections: 1, maxConnections: 1 });
  for (const timeout of [
    -1,
    -0.5,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    1e300,
    2 ** 63,
    '1',
    true,
  ]) {
    const words = 'timeout: must be a time in milliseconds between 0 and 365 days';
    await assert.rejects(db.acquire({ timeout }), failure('INVALID_ARGUMENT', words));
    await assert.rejects(
      db.use(() => {}, { timeout }),
      failure('INVALID_ARGUMENT', words),
    );
    await assert.rejects(db.close({ timeout }), failure('INVALID_ARGUMENT', words));
  }
  for (const owner of [7, {}, 'a\0', 'a\ud800']) {
    await assert.rejects(db.acquire({ owner }), failure('INVALID_ARGUMENT', 'owner: '));
    assert.throws(() => db.tryAcquire({ owner }), failure('INVALID_ARGUMENT', 'owner: '));
    assert.equal(db.getStatus().used, 0);
  }
  // Also where it is found out only when a client is there.
  const client = await db.acquire();
  const waiting = assert.rejects(
    db.acquire({ owner: 'a\0' }),
    failure('INVALID_ARGUMENT', 'owner: '),
  );
  client.release();
  await waiting;
  assert.equal(db.getStatus().used, 0);
  for (const count of [2 ** 32 + 5, -1, 0.5, Number.NaN, '5', 5n]) {
    assert.throws(() => db.resize(0, count), failure('INVALID_ARGUMENT', 'maxConnections: '));
    assert.throws(() => db.resize(count, 5), failure('INVALID_ARGUMENT', 'minConnections: '));
  }
  assert.equal(db.getStatus().max, 1);
  assert.equal(db.closed, false);
});
