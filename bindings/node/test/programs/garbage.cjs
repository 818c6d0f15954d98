'use strict';
// Drops clients and pools without a word, and sees what becomes of them.
const assert = require('node:assert/strict');
const { createPool } = require('../../lib/index.js');

const { gc } = globalThis;
const warnings = [];
process.on('warning', (warning) => warnings.push(warning));

async function until(isSo) {
  while (!isSo()) {
    gc();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

async function loseClients(pool) {
  const [first, second] = [await pool.acquire(), await pool.acquire()];
  first.release();
  await pool.acquire({ owner: 'the forgetful' });
  second.release();
  await pool.acquire();
  assert.equal(pool.getStatus().used, 2);
}

async function losePools(url) {
  for (let i = 0; i < 50; i++) {
    const pool = createPool({ baseUrl: url, log() {} });
    await pool.healthCheck();
    if (i % 2 === 0) await pool.close();
    if (i % 5 === 0) await pool.acquire().catch(() => {});
  }
}

async function main(url) {
  const pool = createPool({ baseUrl: url, minConnections: 0, maxConnections: 2 });
  await loseClients(pool);
  // Waiters are served as soon as the lost ones are found.
  const waiting = pool.use((client) => client.healthCheck());
  await until(() => pool.getStatus().used < 2);
  await waiting;
  await until(() => pool.getStatus().used === 0);
  assert.equal(warnings.length, 2);
  assert.ok(warnings.some((warning) => warning.message.includes("'the forgetful'")));
  assert.equal(warnings[0].name, 'PhantomDBWarning');
  // One that was in use for a while is found too, and one that was released then is not missed.
  let [kept, other] = [await pool.acquire({ owner: 'the slow' }), await pool.acquire()];
  for (let i = 0; i < 10; i++) {
    gc();
    await kept.healthCheck();
  }
  other.release();
  assert.equal(pool.getStatus().used, 1);
  kept = other = undefined;
  await until(() => pool.getStatus().used === 0);
  assert.equal(warnings.length, 3);
  assert.ok(warnings[2].message.includes("'the slow'"));
  // A request holds on to its client and its pool.
  const responses = await Promise.all(
    Array.from({ length: 20 }, async () => {
      const health = createPool({ baseUrl: url }).healthCheck();
      gc();
      return health;
    }),
  );
  assert.equal(responses.length, 20);
  const sockets = () => require('node:fs').readdirSync('/proc/self/fd').length;
  await losePools(url);
  await pool.close();
  await until(() => sockets() < 40);
  console.log('done');
}

main(process.argv[2]);
