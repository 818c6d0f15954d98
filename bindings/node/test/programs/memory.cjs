'use strict';
// Makes many requests of every kind, and says how much memory it has after the first and the last.
const { createPool } = require('../../lib/index.js');

const { gc } = globalThis;
const ROUNDS = 10;

async function some(pool, count) {
  let left = count;
  const one = async () => {
    while (left-- > 0) {
      if (left % 3 === 0) await pool.use((client) => client.healthCheck());
      else if (left % 3 === 1) await pool.healthCheck({ signal: new AbortController().signal });
      else await pool.listTables('nowhere').catch(() => {});
    }
  };
  await Promise.all(Array.from({ length: 32 }, one));
}

async function main(url, total) {
  const pool = createPool({ baseUrl: url, maxConnections: 8 });
  const sizes = [];
  for (let round = 0; round < ROUNDS; round++) {
    await some(pool, Number(total) / ROUNDS);
    gc();
    await new Promise((resolve) => setImmediate(resolve));
    gc();
    sizes.push(process.memoryUsage().rss);
  }
  await pool.close();
  console.log(JSON.stringify(sizes));
}

main(process.argv[2], process.argv[3]);
