'use strict';
// Copies of the package that nobody can reach any more: their pools close, and nothing of them stays.
const assert = require('node:assert/strict');
const fs = require('node:fs');

const { gc } = globalThis;
const count = (folder) => fs.readdirSync(`/proc/self/${folder}`).length;

const made = [];

function copy() {
  for (const file of Object.keys(require.cache)) {
    if (file.includes('/lib/')) {
      delete require.cache[file];
      module.children.length = 0;
    }
  }
  return require('../../lib/index.js');
}

async function use(url) {
  // A pool that is left open, one that is closed, one whose client is out, one with a log.
  const { PhantomDBError, createPool } = copy();
  made.push(new WeakRef(PhantomDBError));
  const [open, closed, leased, logged] = [{}, {}, {}, { log() {} }].map((more) =>
    createPool({ baseUrl: url, minConnections: 0, maxConnections: 2, ...more }),
  );
  await Promise.all([open.healthCheck(), closed.healthCheck(), logged.healthCheck()]);
  await closed.close();
  await leased.use((client) => client.healthCheck());
  await leased.acquire();
}

async function main(url) {
  const other = copy().createPool({ baseUrl: url });
  await other.healthCheck();
  process.removeAllListeners('warning');
  process.on('warning', () => {});
  const before = count('fd');
  for (let round = 0; round < 20; round++) await use(url);
  assert.ok(count('fd') > before + 20, 'nothing is there to be dropped');
  copy();
  while (count('fd') > before + 4 || made.some((it) => it.deref() !== undefined)) {
    gc();
    await new Promise((resolve) => setImmediate(resolve));
    // Still there, whatever becomes of the others.
    await other.healthCheck();
  }
  await other.close();
  console.log('done');
}

main(process.argv[2]);
