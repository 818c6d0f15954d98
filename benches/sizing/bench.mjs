// What a pool's size does to its callers: bench.mjs URL. The server is reached through a proxy that
// holds each response back, as a network and a database at work would.
//
// Closed: so many callers, each with a request under way all the time. Open: requests arrive at
// random at a rate, whether the last ones are done or not, as from the users of a web service.

import { createServer, connect } from 'node:net';
import { performance } from 'node:perf_hooks';
import { createPool } from 'phantomdb/pool';

const [url] = process.argv.slice(2);
const server = new URL(url);
const SECONDS = Number(process.env.SECONDS ?? 3);

/** A proxy whose responses come `delay` milliseconds late. */
async function slowly(delay) {
  const proxy = createServer((client) => {
    const upstream = connect(server.port, server.hostname);
    client.setNoDelay(true);
    upstream.setNoDelay(true);
    client.pipe(upstream);
    upstream.on('data', (response) => setTimeout(() => client.write(response), delay));
    upstream.on('close', () => client.destroy());
    client.on('close', () => upstream.destroy());
    for (const socket of [client, upstream]) socket.on('error', () => {});
  });
  await new Promise((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  return proxy;
}

function percentile(sorted, share) {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

/** Runs `load` with a pool of `size`; `load` is handed what makes one request. */
async function measure(proxy, size, load) {
  const pool = createPool({
    baseUrl: `http://127.0.0.1:${proxy.address().port}`,
    minConnections: size,
    maxConnections: size,
    maxConnecting: size,
    preconnect: true,
  });
  await Promise.all(Array.from({ length: size * 2 }, () => pool.listDatabases()));
  const times = [];
  const request = async () => {
    const began = performance.now();
    await pool.listDatabases();
    times.push(performance.now() - began);
  };
  const began = performance.now();
  await load(request);
  const seconds = (performance.now() - began) / 1000;
  await pool.close();
  times.sort((a, b) => a - b);
  return { rate: times.length / seconds, median: percentile(times, 0.5), p99: percentile(times, 0.99) };
}

function closed(callers) {
  return async (request) => {
    const end = performance.now() + SECONDS * 1000;
    await Promise.all(
      Array.from({ length: callers }, async () => {
        while (performance.now() < end) await request();
      }),
    );
  };
}

function open(rate) {
  return async (request) => {
    const end = performance.now() + SECONDS * 1000;
    const underway = [];
    let next = performance.now();
    while (next < end) {
      while (next <= performance.now()) {
        underway.push(request());
        next += (-Math.log(1 - Math.random()) / rate) * 1000;
      }
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, next - performance.now())));
    }
    await Promise.all(underway);
  };
}

async function table(title, delay, sizes, load) {
  const proxy = await slowly(delay);
  console.log(`\n${title}\n\n| connections | requests per second | median | 99th percentile |\n|---:|---:|---:|---:|`);
  for (const size of sizes) {
    const { rate, median, p99 } = await measure(proxy, size, load);
    console.log(`| ${size} | ${rate.toFixed(0)} | ${median.toFixed(1)} ms | ${p99.toFixed(1)} ms |`);
  }
  proxy.close();
}

const sizes = [1, 2, 4, 8, 16, 32, 64];
await table('64 callers, 10 ms for each request', 10, sizes, closed(64));
await table('400 requests per second at random, 10 ms for each', 10, [4, 5, 6, 8, 10, 16], open(400));
await table('400 requests per second at random, 50 ms for each', 50, [20, 22, 25, 30, 40], open(400));
