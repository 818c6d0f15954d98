// Requests on open connections, with which the event loop goes on itself.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { devserver, failure, holdingServer, json, pool, program, server } from './support.mjs';

test('a request on an open connection wakes no thread of the library', async (t) => {
  const { stdout, stderr } = await program('threads.cjs', [await devserver(t)]);
  assert.equal(stdout.trim(), 'done', stderr);
});

test('the connection of a request on a pool is free when the response is there', async (t) => {
  const all = pool(t, { baseUrl: await devserver(t), minConnections: 1, maxConnections: 1 });
  for (let i = 0; i < 20; i++) {
    await all.healthCheck();
    assert.deepEqual([all.getStatus().available, all.getStatus().used], [1, 0]);
    all.release(all.tryAcquire());
  }
});

test('requests behind one in flight follow it, and a release waits for all', async (t) => {
  const { url, waiting, holds, respond } = await holdingServer(t);
  const all = pool(t, { baseUrl: url, minConnections: 1, maxConnections: 1 });
  const client = await all.acquire();
  const opening = client.healthCheck();
  await holds(1);
  respond();
  await opening;
  const told = [];
  const responses = [1, 2, 3].map((n) =>
    client.request('GET', `/${n}`).then((response) => told.push([n, response.n])),
  );
  await holds(1);
  client.release();
  const next = all.use((other) => other.request('GET', '/4')).then((it) => told.push([4, it.n]));
  for (const n of [1, 2, 3, 4]) {
    await holds(1);
    assert.equal(waiting[0].req.url, `/${n}`);
    assert.deepEqual(told.length, n - 1);
    respond({ n });
    await (responses[n - 1] ?? next);
  }
  assert.deepEqual(told, [
    [1, 1],
    [2, 2],
    [3, 3],
    [4, 4],
  ]);
  assert.equal(all.getStatus().used, 0);
});

test('a request in flight on an open connection is aborted, or outlives the release', async (t) => {
  const { url, holds, respond } = await holdingServer(t);
  const all = pool(t, {
    baseUrl: url,
    minConnections: 1,
    maxConnections: 1,
    requestTimeout: 60_000,
  });
  const opened = async () => {
    const opening = all.healthCheck();
    await holds(1);
    respond();
    await opening;
    return all.acquire();
  };
  let client = await opened();
  for (const on of [client, all]) {
    const controller = new AbortController();
    const cut = on.request('GET', '/', undefined, { signal: controller.signal });
    await holds(1);
    controller.abort();
    await assert.rejects(cut, { name: 'AbortError' });
    await holds(0);
    if (!client.isReleased) client.release();
    client = await opened();
    client.release();
  }
  client = await opened();
  const kept = client.request('GET', '/');
  await holds(1);
  client.release();
  const next = all.acquire();
  respond({ is: 'kept' });
  assert.deepEqual(await kept, { is: 'kept' });
  (await next).release();
});

test('each request on an open connection is over when its time is', async (t) => {
  let isSilent = false;
  const url = await server(t, (_, response) => isSilent || json(response, {}));
  const all = pool(t, {
    baseUrl: url,
    minConnections: 0,
    maxConnections: 3,
    validation: 'none',
    requestTimeout: 100,
  });
  for (let round = 0; round < 2; round++) {
    isSilent = false;
    const clients = await Promise.all([all.acquire(), all.acquire(), all.acquire()]);
    await Promise.all(clients.map((client) => client.healthCheck()));
    isSilent = true;
    await Promise.all(
      clients.map(async (client) => {
        await assert.rejects(client.healthCheck(), failure('TIMEOUT'));
        client.release();
      }),
    );
  }
});

test('sockets that the server closes are replaced, whatever descriptors they get', async (t) => {
  let count = 0;
  const url = await server(t, ({ socket }, response) => {
    const n = ++count;
    json(response, { n });
    // After the response, without a word, or with one.
    if (n % 3 === 0) response.on('finish', () => socket.destroy());
    else if (n % 5 === 0) response.on('finish', () => socket.end());
  });
  const pools = [1, 2, 3].map((maxConnections) =>
    pool(t, { baseUrl: url, minConnections: 0, maxConnections, validation: 'none' }),
  );
  const served = await Promise.all(
    Array.from({ length: 12 }, async (_, caller) => {
      for (let i = 0; i < 25; i++) {
        const { n } = await pools[caller % 3].request('GET', '/');
        assert.equal(typeof n, 'number');
      }
      return 25;
    }),
  );
  assert.equal(served.length, 12);
  assert.ok(count >= 300);
});
