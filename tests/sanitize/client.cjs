'use strict';

// Reads whatever a hostile server sends, by the Node.js binding.
//
//     node --expose-gc client.cjs PACKAGE URL SECONDS SEED

const [, , folder, url, seconds, seed] = process.argv;
const phantomdb = require(folder);
const end = Date.now() + Number(seconds) * 1000;
const counts = { values: 0, errors: 0 };

let state = Number(seed) >>> 0;
/** A number by chance, below `most`; the same for the same seed. */
function chance(most) {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * most);
}

const calls = [
  (it, options) => it.select('d', 't', undefined, options),
  (it, options) => it.select('d', 't', '1=1', options),
  (it, options) => it.executeQuery('d', 'SELECT 1', undefined, options),
  (it, options) => it.executeQuery('d', 'SELECT 1', [1], options),
  (it, options) => it.listDatabases(options),
  (it, options) => it.listTables('d', options),
  (it, options) => it.insert('d', 't', { a: 1 }, options),
  (it, options) => it.update('d', 't', { a: 1 }, '1=1', options),
  (it, options) => it.healthCheck(options),
  (it, options) => it.request('GET', '/any', undefined, options),
];

/** Touches everything; nothing that a server sends is anybody's prototype. */
function look(it) {
  if (it === null || typeof it !== 'object') return String(it).length;
  const prototype = Object.getPrototypeOf(it);
  const known = [null, Object.prototype, Array.prototype];
  if (!known.includes(prototype)) throw new Error('a value has a prototype of its own');
  let size = 0;
  for (const value of Object.values(it)) size += look(value);
  return size;
}

async function work(pool) {
  while (Date.now() < end) {
    const options = chance(10) === 0 ? { signal: AbortSignal.timeout(chance(10)) } : {};
    try {
      const value = await calls[chance(calls.length)](pool, options);
      // What a statement gives has a class of its own.
      look(value?.constructor?.name === 'QueryResult' ? { ...value } : value);
      counts.values += 1;
    } catch (error) {
      const isOurs = error instanceof phantomdb.PhantomDBError || options.signal?.aborted;
      if (!isOurs) throw error;
      counts.errors += 1;
    }
    if (chance(200) === 0) globalThis.gc();
  }
}

async function main() {
  const pool = phantomdb.createPool({ baseUrl: url, maxConnections: 3, requestTimeout: 500, acquireTimeout: 5000 });
  await Promise.all([1, 2, 3, 4].map(() => work(pool)));
  await pool.close();
  console.log('values', counts.values, 'errors', counts.errors);
  if (counts.values === 0 || counts.errors === 0) throw new Error('one of both never came');
}

main().catch((error) => {
  console.error(`seed ${seed}:`, error);
  process.exit(1);
});
