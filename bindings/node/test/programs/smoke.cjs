'use strict';
// A little of everything, for the package as it is installed: prints what it found.
const { Worker, isMainThread, workerData } = require('node:worker_threads');
const { createPool, version } = require('phantomdb');

async function main(url) {
  const pool = createPool({ baseUrl: url, maxConnections: 3 });
  const name = `smoke-${process.version}`;
  await pool.createDatabase(name);
  await pool.createTable(name, 't', [{ name: 'n', type: 'integer' }]);
  await Promise.all(Array.from({ length: 100 }, (_, n) => pool.insert(name, 't', { n })));
  const { rows } = await pool.query(name, 'SELECT count(*) AS n FROM t');
  const aborted = await pool
    .use((client) => client.healthCheck({ signal: AbortSignal.abort() }))
    .catch((error) => error.name);
  const code = await new Promise((done) =>
    new Worker(__filename, { workerData: url }).on('exit', done),
  );
  const imported = await import('phantomdb/pool');
  await pool.close();
  console.log(version, rows[0].n, aborted, code, imported.createPool === createPool);
}

async function work(url) {
  const pool = createPool({ baseUrl: url });
  await pool.healthCheck();
}

if (isMainThread) main(process.argv[2]);
else work(workerData);
