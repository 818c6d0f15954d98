'use strict';
// Four workers use pools of their own at once, and are terminated in the middle of requests.
const assert = require('node:assert/strict');
const fs = require('node:fs');
const { Worker, isMainThread, parentPort, workerData } = require('node:worker_threads');
const { createPool } = require('../../lib/index.js');

async function work(url) {
  const pool = createPool({ baseUrl: url, maxConnections: 4, log() {} });
  const one = async () => {
    for (let n = 0; ; n++) {
      await pool.use((client) => client.healthCheck());
      if (n === 20) parentPort.postMessage('under way');
    }
  };
  for (let i = 0; i < 8; i++) one();
}

async function main(url) {
  // This thread's own goes on through all of it.
  const pool = createPool({ baseUrl: url });
  const count = (folder) => fs.readdirSync(`/proc/self/${folder}`).length;
  await pool.healthCheck();
  let before;
  for (let round = 0; round < 5; round++) {
    const workers = Array.from({ length: 4 }, () => new Worker(__filename, { workerData: url }));
    await Promise.all(workers.map((it) => new Promise((done) => it.once('message', done))));
    await Promise.all([...workers.map((it) => it.terminate()), pool.healthCheck()]);
    // Nothing of a worker outlives it.
    const now = [count('task'), count('fd')];
    before ??= now;
    assert.ok(now[0] <= before[0] + 1 && now[1] <= before[1] + 1, `${before} and then ${now}`);
  }
  await pool.close();
  console.log('done');
}

if (isMainThread) main(process.argv[2]);
else work(workerData);
