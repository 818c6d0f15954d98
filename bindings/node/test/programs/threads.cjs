'use strict';
// Sends requests on open connections, and sees whether threads of the library take part.
const assert = require('node:assert/strict');
const fs = require('node:fs');
const { createPool } = require('../../lib/index.js');

/** How often threads of the library gave the processor up, which one that is woken does. */
function switches() {
  let count = 0;
  for (const thread of fs.readdirSync('/proc/self/task')) {
    const status = fs.readFileSync(`/proc/self/task/${thread}/status`, 'utf8');
    if (!/^Name:\s+phantomdb/.test(status)) continue;
    count += Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(status)[1]);
  }
  return count;
}

async function main(url) {
  const pool = createPool({ baseUrl: url, minConnections: 1, maxConnections: 1 });
  const requests = [
    () => pool.healthCheck(),
    () => pool.request('GET', '/databases'),
    () => pool.use((client) => client.listDatabases()),
  ];
  // The first opens the connection, with a thread's help.
  for (const request of requests) await request();
  const before = switches();
  assert.ok(before > 0, 'the threads are known by another name');
  for (let i = 0; i < 300; i++) await requests[i % 3]();
  const after = switches();
  // A housekeeper may have had something to do meanwhile.
  assert.ok(after - before < 100, `${after - before} times`);
  await pool.close();
  console.log('done');
}

main(process.argv[2]);
