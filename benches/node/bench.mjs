// node bench.mjs URL PACKAGE RESULTS [--rounds N] [--scale X]
//
// The binding beside its peers, in one process against one server. In each round every contender has a
// turn, in an order that changes, and figures are medians over the rounds; ratios are medians of the
// ratios within a round, so that a machine that is busy for a while slows both sides of one.

import { mkdir, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { createPool as createGenericPool } from 'generic-pool';
import tarn from 'tarn';
import * as undici from 'undici';

const CONNECTIONS = 10;

const { positionals, values: options } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '9' },
    scale: { type: 'string', default: '1' },
  },
});
const [url, packageFolder, results] = positionals;
const rounds = Number(options.rounds);
const scale = Number(options.scale);
const { createPool } = createRequire(import.meta.url)(packageFolder);

const pool = createPool({
  baseUrl: url,
  minConnections: CONNECTIONS,
  maxConnections: CONNECTIONS,
  preconnect: true,
});
const undiciPool = new undici.Pool(url, { connections: CONNECTIONS, pipelining: 1 });
const undiciAgent = new undici.Agent({ connections: CONNECTIONS, pipelining: 1 });

const requests = {
  phantomdb: () => pool.use((client) => client.listDatabases()),
  // Without a client.
  'phantomdb, on the pool': () => pool.listDatabases(),
  undici: async () => {
    const { body } = await undiciPool.request({ path: '/databases', method: 'GET' });
    return (await body.json()).databases;
  },
  fetch: async () => (await (await fetch(`${url}/databases`)).json()).databases,
  // The same with as many connections as the others have.
  'fetch, 10 connections': async () => {
    const response = await undici.fetch(`${url}/databases`, { dispatcher: undiciAgent });
    return (await response.json()).databases;
  },
};

const tarnPool = new tarn.Pool({
  create: async () => ({}),
  destroy: () => {},
  min: CONNECTIONS,
  max: CONNECTIONS,
});
const genericPool = createGenericPool(
  { create: async () => ({}), destroy: async () => {} },
  { min: CONNECTIONS, max: CONNECTIONS },
);

const acquires = {
  phantomdb: async () => pool.release(await pool.acquire()),
  tarn: async () => tarnPool.release(await tarnPool.acquire().promise),
  'generic-pool': async () => genericPool.release(await genericPool.acquire()),
};

/** Does it `count` times, `inFlight` at once; gives the rate and the processor time for each. */
async function run(work, inFlight, count) {
  let left = count;
  const row = async () => {
    while (left-- > 0) await work();
  };
  const cpu = process.cpuUsage();
  const start = process.hrtime.bigint();
  await Promise.all(Array.from({ length: inFlight }, row));
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;
  const { user, system } = process.cpuUsage(cpu);
  return { rate: count / seconds, cpu: (user + system) / count };
}

const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];

/** All contenders at one load. */
async function compare(what, contenders, atOnce, count) {
  const names = Object.keys(contenders);
  const samples = Object.fromEntries(names.map((name) => [name, []]));
  for (const name of names) await run(contenders[name], atOnce, Math.ceil(count / 4));
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < names.length; turn++) {
      const name = names[(round + turn) % names.length];
      samples[name].push(await run(contenders[name], atOnce, count));
    }
  }
  const own = samples.phantomdb;
  return names.map((name) => ({
    what,
    name,
    atOnce,
    rate: median(samples[name].map((it) => it.rate)),
    cpuMicroseconds: median(samples[name].map((it) => it.cpu)),
    ours: median(samples[name].map((it, round) => own[round].rate / it.rate)),
  }));
}

function show(what, title, unit) {
  console.log(`\n${title}\n`);
  const rows = report.results.filter((it) => it.what === what);
  for (const { name, rate, cpuMicroseconds, ours, atOnce } of rows) {
    const cells = [
      `  ${String(atOnce).padStart(3)} at once  ${name.padEnd(22)}`,
      `${Math.round(rate).toLocaleString('en').padStart(10)} ${unit}`,
      `${cpuMicroseconds.toFixed(1).padStart(7)} µs of processor`,
      name === 'phantomdb' ? '' : `ours ${ours.toFixed(2)} times as fast`,
    ];
    console.log(cells.join('  ').trimEnd());
  }
}

const expected = JSON.stringify(await requests.undici());
for (const [name, request] of Object.entries(requests)) {
  if (JSON.stringify(await request()) !== expected)
    throw new Error(`${name} gets another response`);
}

const report = { runtime: `Node.js ${process.version}`, rounds, results: [] };
for (const atOnce of [1, 10, 64]) {
  report.results.push(...(await compare('requests', requests, atOnce, Math.ceil(6000 * scale))));
}
for (const atOnce of [1, 64]) {
  report.results.push(...(await compare('acquires', acquires, atOnce, Math.ceil(60_000 * scale))));
}
show('requests', 'requests (GET /databases), 10 connections', 'requests/s');
show('acquires', 'acquire and release, 10 connections', 'pairs/s');

await pool.close();
await undiciPool.close();
await undiciAgent.close();
await tarnPool.destroy();
await genericPool.drain();
await genericPool.clear();
await mkdir(path.dirname(results), { recursive: true });
await writeFile(results, `${JSON.stringify(report, null, 2)}\n`);
