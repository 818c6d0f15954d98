import assert from 'node:assert/strict';
import { test } from 'node:test';
import json from '../lib/json.js';

test('what needs no BigInt is as JSON.parse and JSON.stringify have it', () => {
  for (const value of [null, 0, -1.5, 'text', [], {}, { a: [1, '1234567890123456'] }, [[1e21]]]) {
    const text = JSON.stringify(value);
    assert.deepEqual(json.parse(text), value);
    assert.equal(json.stringify(value), text);
  }
  assert.equal(json.stringify(undefined), undefined);
  assert.equal(
    json.stringify(() => {}),
    undefined,
  );
  assert.throws(() => json.parse('{'), SyntaxError);
});

test('whole numbers beyond 2^53 are BigInts, and only those', () => {
  const text =
    '{"safe":9007199254740991,"unsafe":9007199254740992,"low":-9223372036854775808,' +
    '"float":1234567890123456.5,"exponent":1234567890123456789e3,' +
    '"string":"9223372036854775807","key 9223372036854775807":1,"escaped":"\\"9223372036854775807"}';
  const value = json.parse(text);
  assert.deepEqual(value, {
    safe: 9007199254740991,
    unsafe: 9007199254740992n,
    low: -9223372036854775808n,
    float: 1234567890123456.5,
    exponent: Number('1234567890123456789e3'),
    string: '9223372036854775807',
    'key 9223372036854775807': 1,
    escaped: '"9223372036854775807',
  });
  assert.deepEqual(json.parse('[18446744073709551615]'), [18446744073709551615n]);
  assert.equal(json.parse('9007199254740993'), 9007199254740993n);
});

test('the digits of a fraction or an exponent are no whole number, however many they are', () => {
  for (const text of [
    '0.30000000000000004',
    '-1.7976931348623157e308',
    '[1.1234567890123456789,2]',
  ]) {
    assert.deepEqual(json.parse(text), JSON.parse(text));
  }
  assert.deepEqual(json.parse('{"a":1e-0000000000000001,"b":-9007199254740993}'), {
    a: 0.1,
    b: -9007199254740993n,
  });
});

test('a text can not be taken for a number', () => {
  const sly = '\u0001n9223372036854775807';
  assert.deepEqual(json.parse(`[${JSON.stringify(sly)},9223372036854775807]`), [
    sly,
    9223372036854775807n,
  ]);
  assert.equal(
    json.stringify([sly, 9223372036854775807n]),
    `[${JSON.stringify(sly)},9223372036854775807]`,
  );
});

test('BigInts are written as numbers, and what can not be told from its text as it is', () => {
  assert.equal(json.stringify({ a: 1n, b: [-5n, 'x'] }), '{"a":1,"b":[-5,"x"]}');
  assert.equal(json.stringify(7n), '7');
  assert.equal(json.stringify({ a: 10n ** 40n }), `{"a":1${'0'.repeat(40)}}`);
  assert.equal(json.stringify('\u0001n5'), '"\\u0001n5"');
});

test('all else is written as JSON.stringify writes it', () => {
  class Point {
    x = 1;
  }
  const values = [
    { a: [1, 'x', undefined, () => 1, Symbol('s')], b: undefined, c: () => 1, d: null },
    [1e21, -0, 1.5e-9, true, 'a"\\\u2028\n', '🦜'],
    [new Date(0), new Point(), new Map([[1, 2]]), Object.create(null), /x/],
    [new Number(3), new String('x'), new Boolean(false)],
    { toJSON: (key) => ({ key }) },
    { member: { toJSON: (key) => key }, list: [{ toJSON: (key) => key }] },
    Buffer.from('abc'),
    new Uint8Array(3),
    JSON.parse('{"__proto__":1,"constructor":{"__proto__":[]}}'),
  ];
  for (const value of values) assert.equal(json.stringify(value), JSON.stringify(value));
});

test('what JSON would change in silence is refused, with the place where it is', () => {
  const circle = { list: [] };
  circle.list.push(circle);
  const deep = (levels) => JSON.parse(`${'['.repeat(levels)}${']'.repeat(levels)}`);
  for (const [value, words] of [
    [Number.NaN, "is NaN, which can't be sent"],
    [{ a: { b: [1, Number.POSITIVE_INFINITY] } }, 'a.b[1] is Infinity, '],
    [[Number.NEGATIVE_INFINITY], '[0] is -Infinity, '],
    [{ s: 'a\ud800' }, 's has an unpaired surrogate, '],
    [['\udc00\ud800'], '[0] has an unpaired surrogate, '],
    [{ 'x\udfff': 1 }, 'has an unpaired surrogate, '],
    [{ at: new Date(Number.NaN) }, 'at is an invalid date, '],
    [circle, 'nests deeper than 128 levels, or contains itself'],
    [deep(129), 'nests deeper than 128 levels, '],
    [deep(5000), 'nests deeper than 128 levels, '],
    [{ ['n'.repeat(1e6)]: Number.NaN }, `${'n'.repeat(200)}… is NaN, `],
  ]) {
    assert.throws(
      () => json.stringify(value),
      (error) => error instanceof json.Refusal && error.message.includes(words),
      words,
    );
  }
  assert.equal(json.stringify(deep(128)).length, 256);
});
