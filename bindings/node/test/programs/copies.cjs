'use strict';
// Workers and the main thread, each with several copies of the package over the addon that is loaded once.
const assert = require('node:assert/strict');
const { Worker, isMainThread, threadId, workerData } = require('node:worker_threads');

function copies() {
  return [1, 2, 3].map(() => {
    for (const file of Object.keys(require.cache)) {
      if (!file.endsWith('.node')) delete require.cache[file];
    }
    return require('../../lib/index.js');
  });
}

async function work(url) {
  const pools = copies().map((it) => it.createPool({ baseUrl: url, maxConnections: 2 }));
  await Promise.all(
    Array.from({ length: 150 }, async (_, n) => {
      const path = `/${threadId}/${n}`;
      assert.equal((await pools[n % 3].request('GET', path)).url, path);
    }),
  );
  await pools[0].close();
  // The others are left to the end of the thread.
}

async function main(url) {
  const workers = [1, 2, 3].map(
    () => new Promise((done) => new Worker(__filename, { workerData: url }).on('exit', done)),
  );
  await work(url);
  assert.deepEqual(await Promise.all(workers), [0, 0, 0]);
  console.log('done');
}

if (isMainThread) main(process.argv[2]);
else work(workerData);
