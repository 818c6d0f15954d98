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

test('BigInts are written as numbers', () => {
  assert.equal(json.stringify({ a: 1n, b: [-5n, 'x'] }), '{"a":1,"b":[-5,"x"]}');
  assert.equal(json.stringify(7n), '7');
  const circle = [1n];
  circle.push(circle);
  assert.throws(() => json.stringify(circle), TypeError);
});
