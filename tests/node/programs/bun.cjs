// For Bun: workers end, some in the middle of requests, and the program goes on.
const { Worker, isMainThread, parentPort, workerData } = require('node:worker_threads');
const { createPool } = require('phantomdb');

const CALLERS = 8;

async function work(url) {
  const pool = createPool({ baseUrl: url, maxConnections: 4 });
  let started = 0;
  const one = async () => {
    for (let n = 0; ; n++) {
      await pool.healthCheck();
      if (n === 2 && ++started === CALLERS) parentPort.postMessage('under way');
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, one));
}

async function main(url) {
  const pool = createPool({ baseUrl: url });
  for (let round = 0; round < 15; round++) {
    const workers = [1, 2, 3].map(() => new Worker(__filename, { workerData: url }));
    await Promise.all(workers.map((it) => new Promise((done) => it.once('message', done))));
    const ended = workers.map((it) => it.terminate());
    await pool.healthCheck();
    if (round % 2 === 0) await Promise.all(ended);
  }
  await pool.close();
  console.log('done');
}

if (isMainThread) main(process.argv[2]);
else work(workerData);
