import assert from 'node:assert/strict';
import { test } from 'node:test';
import json from '../lib/json.js';

test('what is not a value has no JSON', () => {
  for (const value of [undefined, () => {}, Symbol('s')])
    assert.equal(json.stringify(value), undefined);
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
    [new Date(0), new Point(), Object.create(null)],
    Object.assign(new Error('x'), { code: 'E' }),
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
    [new Map([[1, 2]]), "is of type Map, which can't be written as JSON"],
    [{ a: [new Set([1])] }, 'a[0] is of type Set, '],
    [{ name: Promise.resolve('Ada') }, 'name is of type Promise, '],
    [[/x/], '[0] is of type RegExp, '],
    [[new TypeError('x')], '[0] is of type Error, '],
    [{ query: new URLSearchParams('a=1') }, 'query is of type URLSearchParams, '],
    [[new ArrayBuffer(3)], '[0] is of type ArrayBuffer, '],
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
