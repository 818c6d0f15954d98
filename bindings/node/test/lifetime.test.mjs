import assert from 'node:assert/strict';
import { test } from 'node:test';
import { devserver, json, program, server } from './support.mjs';

/** What a program printed, if it ended well. */
async function printed(...all) {
  const { stdout, stderr, code, signal } = await program(...all);
  assert.deepEqual([code, signal], [0, null], stderr);
  return stdout.trim();
}

test('an idle pool does not keep the process alive', async (t) => {
  assert.equal(await printed('idle.cjs', [await devserver(t)]), 'used');
});

test('a call that is under way does', async () => {
  assert.equal(await printed('pending.cjs'), 'TIMEOUT');
});

test('process.exit in the middle of requests exits cleanly', async (t) => {
  const url = await devserver(t);
  const times = Number(process.env.EXITS ?? 200);
  let next = 0;
  const some = async () => {
    while (next < times) {
      const moment = next++;
      const { code, signal, stderr } = await program('exit.cjs', [url, String(moment)]);
      assert.deepEqual(
        { moment, code, signal, stderr },
        { moment, code: 0, signal: null, stderr: '' },
      );
    }
  };
  await Promise.all([some(), some(), some()]);
});

test('with one thread in libuv’s pool a crowd waits, and the event loop does not', async (t) => {
  // Whatever waited for a response on the event loop's thread would hold it up for so long.
  const responseTime = 2;
  const url = await server(t, (_, response) => setTimeout(() => json(response, {}), responseTime));
  const told = JSON.parse(await printed('crowd.cjs', [url], { env: { UV_THREADPOOL_SIZE: '1' } }));
  assert.deepEqual([told.served, told.most], [1000, 2]);
  assert.ok(told.threads <= 8, `${told.threads} threads for 1000 callers`);
  // They wait for a second in all; the loop's own work for them comes in small pieces.
  assert.ok(told.delay < 250, `the event loop stood still for ${told.delay} ms`);
});

test('workers use pools at once, and are terminated in the middle of requests', async (t) => {
  assert.equal(await printed('workers.cjs', [await devserver(t)]), 'done');
});

test('what is dropped without a word is found', async (t) => {
  const url = await devserver(t);
  assert.equal(await printed('garbage.cjs', [url], { node: ['--expose-gc'] }), 'done');
});

test('memory does not grow with the number of requests', async (t) => {
  const url = await devserver(t);
  const total = process.env.REQUESTS ?? '200000';
  const sizes = JSON.parse(
    await printed('memory.cjs', [url, total], {
      node: ['--expose-gc', '--max-semi-space-size=4'],
    }),
  );
  // By the third of ten rounds everything has been done often enough.
  const [warm, last] = [sizes[2], sizes[sizes.length - 1]];
  assert.ok(last < warm + 8 * 2 ** 20, `from ${sizes.map((size) => (size / 2 ** 20) | 0)} MiB`);
});
