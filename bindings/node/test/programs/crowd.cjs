'use strict';
// With one thread in libuv's pool: a thousand acquires wait while holders make requests.
const assert = require('node:assert/strict');
const fs = require('node:fs');
const { monitorEventLoopDelay } = require('node:perf_hooks');
const { createPool } = require('../../lib/index.js');

assert.equal(process.env.UV_THREADPOOL_SIZE, '1');

async function main(url) {
  const pool = createPool({ baseUrl: url, maxConnections: 2 });
  const delay = monitorEventLoopDelay({ resolution: 5 });
  delay.enable();
  let served = 0;
  let most = 0;
  const threads = () => fs.readdirSync('/proc/self/task').length;
  const before = threads();
  const all = Array.from({ length: 1000 }, async () => {
    const client = await pool.acquire();
    most = Math.max(most, pool.getStatus().used);
    await client.healthCheck();
    client.release();
    served++;
  });
  assert.equal(pool.getStatus().pending, 998);
  // The one thread of libuv's pool is as free as ever.
  await fs.promises.stat('.');
  const during = threads();
  await Promise.all(all);
  delay.disable();
  await pool.close();
  console.log(
    JSON.stringify({ served, most, threads: during - before, delay: delay.max / 1e6 }),
  );
}

main(process.argv[2]);
