// What the tests share. Everything that is started here ends with the test that asked for it.

import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import phantomdb from '../lib/index.js';

export const { PhantomDBError, createPool } = phantomdb;

export const here = path.dirname(fileURLToPath(import.meta.url));

/** A development server with its data in memory; gives its URL. */
export async function devserver(t, ...options) {
  const program = process.env.DEVSERVER;
  if (!program) throw new Error('DEVSERVER is not set: run `make test-node`');
  const child = spawn(program, ['--port', '0', '--stop-on-stdin-eof', ...options], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  t.after(async () => {
    const ended = once(child, 'exit');
    child.stdin.end();
    await ended;
  });
  const [url] = await once(createInterface(child.stdout), 'line');
  return url;
}

/** An HTTP server that responds as `respond(request, response)` does; gives its URL. */
export async function server(t, respond) {
  const made = http.createServer((request, response) => {
    request.resume();
    respond(request, response);
  });
  made.keepAliveTimeout = 600_000;
  made.listen(0, '127.0.0.1');
  await once(made, 'listening');
  t.after(() => {
    made.closeAllConnections();
    made.close();
  });
  return `http://127.0.0.1:${made.address().port}`;
}

/** Responds with a value as JSON. */
export function json(response, value, status = 200) {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(value));
}

/** A server that holds its responses back until it is told; `waiting` has the responses. */
export async function holdingServer(t) {
  const waiting = [];
  let arrived = () => {};
  const url = await server(t, (_request, response) => {
    waiting.push(response);
    response.on('close', () => {
      const at = waiting.indexOf(response);
      if (at >= 0) waiting.splice(at, 1);
      arrived();
    });
    arrived();
  });
  const until = async (isSo) => {
    while (!isSo()) await new Promise((resolve) => (arrived = resolve));
  };
  return {
    url,
    waiting,
    /** Waits until so many requests are held. */
    holds: (count) => until(() => waiting.length === count),
    respond: (value = {}) => json(waiting.shift(), value),
  };
}

/** A pool that is closed with the test. */
export function pool(t, options) {
  const made = createPool(options);
  t.after(() => made.close({ timeout: 0 }));
  return made;
}

/** A database with a table `t` of the columns `n` and `s`. */
export async function table(pool, database) {
  await pool.createDatabase(database);
  await pool.createTable(database, 't', [
    { name: 'n', type: 'integer' },
    { name: 's', type: 'string' },
  ]);
}

/** Waits until the condition holds; only for what tells nobody when it changes. */
export async function eventually(isSo) {
  while (!isSo()) await new Promise((resolve) => setImmediate(resolve));
}

/** Lets everything that is ready happen. */
export async function turns(count) {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** Runs a program of test/programs; gives its output, its exit status and its signal. */
export async function program(name, argv = [], { node = [], env = {}, input = '' } = {}) {
  try {
    const running = promisify(execFile)(
      process.execPath,
      [...node, path.join(here, 'programs', name), ...argv],
      { env: { ...process.env, ...env }, maxBuffer: 1 << 26 },
    );
    running.child.stdin.on('error', () => {});
    running.child.stdin.end(input);
    const done = await running;
    return { ...done, code: 0, signal: null };
  } catch (error) {
    const { stdout, stderr, code, signal } = error;
    return { stdout, stderr, code, signal };
  }
}

/** Rejects with this code, and a message that has these words. */
export function failure(code, ...words) {
  return (error) => {
    if (!(error instanceof PhantomDBError)) throw error;
    const misses = words.filter((word) => !error.message.includes(word));
    if (error.code !== code || misses.length > 0) {
      throw new Error(`expected ${code} with "${words.join('", "')}", got ${error.code}`, {
        cause: error,
      });
    }
    return true;
  };
}
