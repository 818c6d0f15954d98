// How results become values: exactly, whatever they are, and without holding up the event loop.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failure, pool, program, server } from './support.mjs';

/** A pool whose server responds with this text, or with what a function makes of the request's path. */
async function responding(t, text, type = 'application/json') {
  const url = await server(t, (request, response) => {
    response.writeHead(200, { 'content-type': type });
    response.end(typeof text === 'function' ? text(request.url) : text);
  });
  return pool(t, { baseUrl: url, maxResponseBytes: 2 ** 28 });
}

/** What this JSON is read as, by each way there is to read a value. */
async function read(t, json) {
  const db = await responding(t, (path) => {
    if (path === '/whole') return json;
    if (path.endsWith('/query')) return `{"columns":["v"],"rows":[[${json}]]}`;
    if (path === '/health') return `{"v":${json}}`;
    return `{"records":[{"v":${json}}]}`;
  });
  const [whole, { rows }, records, object] = await Promise.all([
    db.request('GET', '/whole'),
    db.query('d', 'SELECT'),
    db.select('d', 't'),
    db.healthCheck(),
  ]);
  const found = [whole, rows[0].v, records[0].v, object.v];
  await db.close();
  for (const value of found) assert.deepEqual(value, whole);
  return whole;
}

test('long strings with escapes displace nothing that comes after them', async (t) => {
  // The buffer in which they are decoded is full before so many values are read as are asked for at once.
  const list = [
    ...Array.from({ length: 31 }, (_, index) => `${'x'.repeat(2200)}\n${index}`),
    ...Array.from({ length: 500 }, (_, index) => `\n${index}`),
  ];
  assert.deepEqual(await read(t, JSON.stringify(list)), list);
});

test('numbers are exact, or the digits that were sent', async (t) => {
  for (const [json, value] of [
    ['0', 0],
    ['-0', 0],
    ['-0.0', -0],
    ['9007199254740991', 9007199254740991],
    ['-9007199254740991', -9007199254740991],
    ['9007199254740992', 9007199254740992n],
    ['-9007199254740992', -9007199254740992n],
    ['9223372036854775807', 2n ** 63n - 1n],
    ['-9223372036854775808', -(2n ** 63n)],
    ['9223372036854775808', 2n ** 63n],
    ['18446744073709551616', 2n ** 64n],
    ['-18446744073709551616', -(2n ** 64n)],
    ['9'.repeat(4300), 10n ** 4300n - 1n],
    [`-${'9'.repeat(4300)}`, 1n - 10n ** 4300n],
    ['9'.repeat(4301), '9'.repeat(4301)],
    [`-${'9'.repeat(5000)}`, `-${'9'.repeat(5000)}`],
    ['5.0', 5],
    ['1e3', 1000],
    ['1234567890123456.5', 1234567890123456.5],
    ['1234567890123456789e3', Number('1234567890123456789e3')],
    ['0.30000000000000004', 0.30000000000000004],
    ['1.7976931348623157e308', Number.MAX_VALUE],
    ['5e-324', 5e-324],
    ['1e-400', 0],
    ['1e400', '1e400'],
    ['-1E+999', '-1E+999'],
  ]) {
    const found = await read(t, json);
    assert.ok(Object.is(found, value), `${json.slice(0, 40)}: ${String(found).slice(0, 40)}`);
  }
});

test('texts are what was sent, and can not be taken for anything else', async (t) => {
  for (const [json, value] of [
    ['"9223372036854775807"', '9223372036854775807'],
    ['"\\u0001n9223372036854775807"', '\u0001n9223372036854775807'],
    ['["\\u0001\\u006e42",18446744073709551616]', ['\u0001n42', 2n ** 64n]],
    ['"\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83e\\udd9c🦜"', '"\\/\b\f\n\r\té🦜🦜'],
    ['"a\\u0000b"', 'a\0b'],
    ['"a\\ud800b"', 'a\ufffdb'],
    ['"\\udc00\\ud800"', '\ufffd\ufffd'],
    ['""', ''],
    ['true', true],
    ['false', false],
    ['null', null],
  ]) {
    assert.deepEqual(await read(t, json), value);
  }
});

test('arrays and objects within values, however they are called', async (t) => {
  const value = {
    list: [1, [2, [[]]], {}, { a: { b: [null, true] } }],
    big: [2n ** 70n],
    constructor: 1,
    'ключ 🦜': '',
  };
  const json =
    '{"list":[1,[2,[[]]],{},{"a":{"b":[null,true]}}],"big":[1180591620717411303424],"constructor":1,"ключ 🦜":""}';
  assert.deepEqual(await read(t, json), value);
  const deep = `${'['.repeat(100)}7${']'.repeat(100)}`;
  assert.deepEqual(await read(t, deep), JSON.parse(deep));
  // More than is shown at once, at every place of it.
  for (const count of [62, 63, 64, 85, 127, 128, 255, 256, 257, 1000]) {
    const many = JSON.stringify(Array.from({ length: count }, (_, n) => ({ n, s: `"${n}` })));
    assert.deepEqual(await read(t, many), JSON.parse(many));
  }
});

test('a column may be called __proto__, and no row gets another prototype', async (t) => {
  const rows = Array.from({ length: 20 }, (_, n) => `[{"polluted":${n}},${n},${n}]`);
  const tables = [
    `{"columns":["__proto__","constructor","a"],"rows":[${rows}]}`,
    `{"columns":["__proto__","constructor","a"],"rows":[${rows.slice(0, 2)}]}`,
    `{"records":[{"__proto__":{"polluted":0},"constructor":0,"a":0},{"a":1},{"__proto__":{"polluted":2}}]}`,
  ];
  for (const table of tables) {
    const db = await responding(t, table);
    for (const all of [(await db.query('d', 'SELECT')).rows, await db.select('d', 't')]) {
      for (const [n, row] of all.entries()) {
        assert.equal(Object.getPrototypeOf(row), Object.prototype);
        assert.equal(row.polluted, undefined);
        if (!Object.hasOwn(row, '__proto__')) continue;
        assert.deepEqual(Object.getOwnPropertyDescriptor(row, '__proto__'), {
          value: { polluted: n },
          configurable: true,
          enumerable: true,
          writable: true,
        });
      }
      assert.ok(Object.hasOwn(all[0], '__proto__'));
    }
    const whole = await db.request('GET', '/x');
    assert.equal(Object.getPrototypeOf(whole), Object.prototype);
  }
  assert.equal({}.polluted, undefined);
});

test('rows have what the server sent of them, and rowCount is what it says', async (t) => {
  const of = async (text) => {
    const { columns, rows, rowCount, affectedRows } = await (await responding(t, text)).query(
      'd',
      'Q',
    );
    return { columns, rows, rowCount, affectedRows };
  };
  assert.deepEqual(await of('{"columns":["a","b"],"rows":[[1],[],[1,null]],"rowCount":9}'), {
    columns: ['a', 'b'],
    rows: [{ a: 1 }, {}, { a: 1, b: null }],
    rowCount: 9,
    affectedRows: null,
  });
  assert.deepEqual(await of('{"records":[{},{"b":1},{"a":2,"b":3},{}],"affectedRows":4}'), {
    columns: ['b', 'a'],
    rows: [{}, { b: 1 }, { a: 2, b: 3 }, {}],
    rowCount: 4,
    affectedRows: 4,
  });
  assert.deepEqual((await of('{"columns":["a","a"],"rows":[[1,2]]}')).rows, [{ a: 2 }]);
  const found = await (await responding(t, '{"columns":["a"],"rows":[[1]]}')).query('d', 'Q');
  assert.deepEqual(
    [found.records, found.results, found.affected_rows],
    [found.rows, found.rows, null],
  );
});

test('what is not a table is refused', async (t) => {
  for (const text of [
    '{"columns":["a"],"rows":[[1,2]]}',
    '{"columns":["a"],"rows":[null]}',
    '[1,2]',
    '{"rows":[[1,2]]}',
    '{"columns":["a","b"],"rows":[[1],{"z":3}]}',
  ]) {
    const db = await responding(t, text);
    await assert.rejects(db.query('d', 'SELECT'), failure('PROTOCOL'), text);
    await assert.rejects(db.select('d', 't'), failure('PROTOCOL'), text);
  }
});

test('a response that is not JSON is its text', async (t) => {
  const db = await responding(t, '# HELP é\n', 'text/plain');
  assert.equal(await db.request('GET', '/metrics'), '# HELP é\n');
});

const MIB = 2 ** 20;
/** Responses of some megabytes, of every shape. */
const large = {
  narrow: () => `{"columns":["a","b","c"],"rows":[${'[1,"text",null],'.repeat(300_000)}[1,2,3]]}`,
  records: () => `{"records":[${'{"a":1,"b":"text","c":2.5},'.repeat(200_000)}{}]}`,
  wide: () =>
    `{"columns":[${Array.from({ length: 5000 }, (_, n) => `"c${n}"`)}],"rows":[${`[${'1,'.repeat(4999)}1],`.repeat(200)}[]]}`,
  sparse: () =>
    `{"columns":[${Array.from({ length: 5000 }, (_, n) => `"c${n}"`)}],"rows":[${'[],'.repeat(20_000)}[]]}`,
  texts: () => `{"columns":["t"],"rows":[${`["${'x'.repeat(MIB / 4)}"],`.repeat(60)}["é"]]}`,
  cells: () => `{"columns":["j"],"rows":[${`[[${'{"k":[1,2]},'.repeat(30)}0]],`.repeat(8000)}[0]]}`,
  cell: () => `{"columns":["j","k"],"rows":[[[${'{"k":[1,2]},'.repeat(400_000)}0],7],[1,"after"]]}`,
  'big numbers': () => `{"columns":["n"],"rows":[${'[18446744073709551616],'.repeat(150_000)}[1]]}`,
};

test('a large response of any shape holds nobody up, and is whole', async (t) => {
  const texts = Object.fromEntries(Object.entries(large).map(([name, make]) => [name, make()]));
  const { stdout } = await program('large.cjs', [], {
    node: ['--expose-gc'],
    input: JSON.stringify(texts),
  });
  for (const line of stdout.trim().split('\n')) {
    const { name, longest, parsed, share } = JSON.parse(line);
    t.diagnostic(
      `${name}: ${longest.toFixed(1)} ms at most (JSON.parse ${parsed.toFixed(0)} ms), ${share.toFixed(1)} times the response`,
    );
    assert.ok(longest < 25, `${name}: ${longest} ms`);
    assert.ok(share < 30, `${name}: ${share} times the response`);
  }
  assert.equal(stdout.trim().split('\n').length, Object.keys(large).length);
});

test('deep, hostile and long data take linear time', async (t) => {
  const mark = `"\\u0001${'n'.repeat(200_000)}"`;
  const started = process.cpuUsage();
  const db = await responding(t, (path) => {
    if (path === '/marks') return `[1234567890123456,${mark},${mark}]`;
    if (path === '/long') return `["${'a'.repeat(8 * MIB)}",12345678901234567890]`;
    return `[${'1234567890123456789,'.repeat(100_000)}1]`;
  });
  assert.equal((await db.request('GET', '/marks'))[2].length, 200_001);
  assert.equal((await db.request('GET', '/long'))[1], 12345678901234567890n);
  assert.equal((await db.request('GET', '/numbers')).length, 100_001);
  const { user } = process.cpuUsage(started);
  assert.ok(user < 10e6, `${user} µs`);
});

test('an abort ends a call whose response is being read', async (t) => {
  const db = await responding(t, large.narrow());
  const controller = new AbortController();
  const { signal } = controller;
  let isOver = false;
  const call = db.query('d', 'Q', [], { signal }).finally(() => (isOver = true));
  // As soon as the connection is back the response is here, and is read in many slices.
  while (db.getStatus().used > 0 || db.getStats().acquires.direct === 0) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal(isOver, false);
  controller.abort('enough');
  await assert.rejects(call, (error) => error.name === 'AbortError' && error.cause === 'enough');
  assert.equal(db.getStatus().used, 0);
});
