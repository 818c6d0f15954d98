// The package's JavaScript evaluated several times over one loaded addon, as Jest, a cleared
// require.cache, vm contexts and workers do: each copy hears of its own calls, and of nothing else.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { test } from 'node:test';
import vm from 'node:vm';
import { devserver, here, holdingServer, json, program, server } from './support.mjs';

const require = createRequire(import.meta.url);
const lib = path.join(here, '../lib');

/** A copy as `jest.resetModules` or a cleared require.cache makes it; with `all`, of the addon too. */
function cleared(all = false) {
  for (const file of Object.keys(require.cache)) {
    if (file.startsWith(lib) || (all && file.endsWith('phantomdb.node')))
      delete require.cache[file];
  }
  return require('../lib/index.js');
}

/** A copy with a registry of modules of its own, in a vm context or in this one, as Jest has them. */
function registered(context) {
  const modules = new Map();
  const load = (file) => {
    if (file.endsWith('.node')) return require(file);
    if (modules.has(file)) return modules.get(file).exports;
    const module = { exports: {} };
    modules.set(file, module);
    const source = `(function (module, exports, require, __dirname) {${readFileSync(file, 'utf8')}\n})`;
    const evaluate = context
      ? vm.runInContext(source, context, { filename: file })
      : vm.runInThisContext(source, { filename: file });
    const resolve = createRequire(file);
    evaluate(
      module,
      module.exports,
      (name) => (name.startsWith('node:') ? require(name) : load(resolve.resolve(name))),
      path.dirname(file),
    );
    return module.exports;
  };
  return load(path.join(lib, 'index.js'));
}

const globals = () => ({ AbortController, AbortSignal, process, queueMicrotask });

/** Copies of every kind. */
function copies() {
  return [
    require('../lib/index.js'),
    cleared(),
    cleared(),
    cleared(true),
    registered(),
    registered(),
    registered(vm.createContext(globals())),
    registered(vm.createContext(globals())),
  ];
}

/** A server that says what it was asked, a little later and in another order. */
async function echo(t) {
  const waiting = [];
  const respond = () => {
    for (const [url, response] of waiting.splice(0).reverse()) json(response, { url });
  };
  return server(t, (request, response) => {
    if (waiting.length === 0) setImmediate(respond);
    waiting.push([request.url, response]);
  });
}

test('each copy of the package hears of its own calls only', async (t) => {
  const url = await echo(t);
  const all = copies();
  assert.equal(new Set(all.map((it) => it.createPool)).size, all.length);
  const pools = all.map((it) => it.createPool({ baseUrl: url, maxConnections: 4 }));
  const told = [];
  for (let round = 0; round < 20; round++) {
    for (const [n, pool] of pools.entries()) {
      const path = `/${n}/${round}`;
      told.push(pool.request('GET', path).then(({ url }) => assert.equal(url, path)));
      told.push(
        pool.use((client) =>
          client.request('GET', path).then(({ url }) => assert.equal(url, path)),
        ),
      );
    }
  }
  await Promise.all(told);
  assert.equal(told.length, 320);
  for (const pool of pools) assert.equal(pool.getStatus().used, 0);
  await Promise.all(pools.map((pool) => pool.close()));
});

test('an abort, an error, a log message and a close are told to the copy that they belong to', async (t) => {
  const held = await holdingServer(t);
  const all = copies();
  const logs = all.map(() => []);
  const pools = all.map((it, n) =>
    it.createPool({
      baseUrl: held.url,
      maxConnections: 1,
      minConnections: 1,
      leakThreshold: 100,
      log: (_, message) => logs[n].push(message),
    }),
  );
  const clients = await Promise.all(pools.map((pool, n) => pool.acquire({ owner: `copy ${n}` })));
  const controllers = all.map(() => new AbortController());
  const calls = pools.map((pool, n) => pool.acquire({ signal: controllers[n].signal }));
  for (const n of all.keys()) {
    controllers[n].abort(n);
    await assert.rejects(calls[n], (error) => {
      assert.ok(error instanceof all[n].PhantomDBError);
      assert.deepEqual([error.code, error.cause], ['CANCELLED', n]);
      return true;
    });
    assert.throws(() => pools[n].tryAcquire(), { code: 'WOULD_BLOCK' });
    assert.throws(() => all[n].createPool({ maxConnections: n / 10 + 0.5 }), all[n].PhantomDBError);
  }
  const alive = setInterval(() => {}, 1000);
  while (logs.some((it) => it.length === 0)) await new Promise((resolve) => setImmediate(resolve));
  clearInterval(alive);
  for (const [n, log] of logs.entries()) {
    // On a busy machine a client may be reported before its owner is known.
    for (const message of log) assert.match(message, new RegExp(`no owner|copy ${n}`));
  }
  const closed = pools.map((pool) => pool.close());
  for (const client of clients) client.release();
  await Promise.all(closed);
});

test('copies in several worker threads at once', async (t) => {
  const url = await echo(t);
  const { stdout, stderr } = await program('copies.cjs', [url]);
  assert.deepEqual([stdout.trim(), stderr], ['done', '']);
});

test('a copy that is dropped goes, and its pools with it', async (t) => {
  const url = await devserver(t);
  const { stdout, stderr } = await program('dropped.cjs', [url], { node: ['--expose-gc'] });
  assert.deepEqual([stdout.trim(), stderr], ['done', '']);
});
