import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { devserver, here, pool } from './support.mjs';

/** The programs of a README, with the address of a server that is there, as files. */
async function programs(t, url, readme = '../README.md') {
  const text = await readFile(path.join(here, readme), 'utf8');
  // Within the package, so that they find it by its name.
  const folder = await mkdtemp(path.join(here, '.readme-'));
  t.after(() => rm(folder, { recursive: true }));
  const blocks = [...text.matchAll(/^```js\n(.*?)^```$/gms)].map(([, code]) => code);
  const files = blocks.map((_, n) => path.join(folder, `example-${n}.mjs`));
  await Promise.all(
    blocks.map((code, n) => writeFile(files[n], code.replaceAll('http://localhost:8080', url))),
  );
  return blocks.map((code, n) => ({ code, file: files[n] }));
}

test('every program of the README runs', async (t) => {
  const all = await programs(t, await devserver(t));
  assert.equal(all.length, 5);
  const printed = [];
  for (const { code, file } of all) {
    if (code.includes('.listen(')) continue;
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [file]);
    assert.equal(stderr, '', code);
    printed.push(stdout);
  }
  assert.deepEqual(printed, [
    '1 1\n',
    '[ { id: 1, sum: 90 } ]\n',
    'HTTP 404\nAbortError CANCELLED too late\n',
    'healthy\n',
  ]);
});

test('the quick start of the first page runs its query', async (t) => {
  const url = await devserver(t);
  await pool(t, { baseUrl: url }).createDatabase('shop');
  const [{ file }, ...more] = await programs(t, url, '../../../README.md');
  assert.deepEqual(more, []);
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [file, url]);
  assert.deepEqual([stdout, stderr], ['42\n', '']);
});

test('the server of the README serves, and ends when it is told', async (t) => {
  const url = await devserver(t);
  const { file } = (await programs(t, url)).find(({ code }) => code.includes('.listen('));
  const child = spawn(process.execPath, [file], {
    env: { ...process.env, PORT: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  t.after(() => child.kill('SIGKILL'));
  const [line] = await once(createInterface(child.stdout), 'line');
  const address = `http://127.0.0.1:${line.replace('port ', '')}`;
  const responses = await Promise.all(
    Array.from({ length: 50 }, () =>
      fetch(address, { headers: { connection: 'close' } }).then((response) => response.json()),
    ),
  );
  assert.deepEqual(responses, Array(50).fill([]));
  child.kill('SIGTERM');
  assert.deepEqual(await ended, [0, null]);
});
