import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { test } from 'node:test';
import * as imported from 'phantomdb';
import * as importedPool from 'phantomdb/pool';
import { here } from './support.mjs';

const require = createRequire(import.meta.url);
const names = ['Client', 'PhantomDBConnectionPool', 'PhantomDBError', 'Pool', 'createPool'];
const more = ['PhantomDB', 'connect', 'version'];

test('import and require give the same', () => {
  const required = require('phantomdb');
  assert.deepEqual(Object.keys(require('phantomdb/pool')).sort(), names);
  assert.deepEqual(Object.keys(required).sort(), [...names, ...more].sort());
  assert.deepEqual(Object.keys(imported).sort(), [...names, ...more, 'default'].sort());
  assert.deepEqual(Object.keys(importedPool).sort(), [...names, 'default'].sort());
  for (const [name, value] of Object.entries(required)) {
    assert.equal(new Map(Object.entries(imported)).get(name), value);
    if (!more.includes(name)) assert.equal(new Map(Object.entries(importedPool)).get(name), value);
  }
});

test('package and library have one version', () => {
  const manifest = readFileSync(path.join(here, '../../../Cargo.toml'), 'utf8');
  const [, version] = manifest.match(/^version = "(.*)"$/m);
  assert.equal(require('phantomdb/package.json').version, version);
  assert.equal(imported.version, version);
});

test('the constants of the addon and of its JavaScript are the same', () => {
  const read = (name) => readFileSync(path.join(here, '..', name), 'utf8');
  const header = read('native/addon.h');
  const members = header.match(/typedef enum message_kind \{(.*?)\}/s)[1].match(/MESSAGE_\w+/g);
  const [, result, log] = read('lib/calls.js').match(
    /^const \[RESULT, LOG\] = \[(\d+), (\d+)\];$/m,
  );
  assert.equal(members.indexOf('MESSAGE_RESULT'), Number(result));
  assert.equal(members.indexOf('MESSAGE_LOG'), Number(log));
  const reading = read('lib/reading.js');
  for (const [name, prefix] of [
    ['reading_part', 'PART'],
    ['value_kind', 'VALUE'],
  ]) {
    const [, body] = header.match(new RegExp(`typedef enum ${name} \\{(.*?)\\}`, 's'));
    const [first, ...others] = body
      .match(new RegExp(`${prefix}_\\w+`, 'g'))
      .map((it) => it.slice(prefix.length + 1));
    const [, listed] = reading.match(
      new RegExp(`const \\[([^\\]]*\\b${others[0]}\\b[^\\]]*)\\] = `),
    );
    const known = listed
      .replace('JSON_TEXT', 'JSON')
      .split(',')
      .map((it) => it.trim())
      .filter(Boolean);
    assert.deepEqual(known, known.includes(first) ? [first, ...others] : others);
  }
  assert.match(reading, new RegExp(`^const VALUES = ${header.match(/VALUES = (\d+)/)[1]};$`, 'm'));
  const [, count] = header.match(/NUMBERS = (\d+)/);
  assert.match(read('lib/calls.js'), new RegExp(`^const NUMBERS = ${count};$`, 'm'));
  const phantomdb = readFileSync(path.join(here, '../../../include/phantomdb.h'), 'utf8');
  const [, timeout] = phantomdb.match(/#define PHANTOMDB_POOL_TIMEOUT (-?\d+)/);
  assert.match(read('lib/pool.js'), new RegExp(`^const POOL_TIMEOUT = ${timeout};$`, 'm'));
  const [, waits] = read('native/functions.c').match(/WAITS = (-?\d+)/);
  assert.match(read('lib/pool.js'), new RegExp(`^const WAITS = ${waits};$`, 'm'));
  const levels = phantomdb.match(/PHANTOMDB_LOG_(\w+) = (\d)/g).map((it) => it.toLowerCase());
  assert.deepEqual(levels, ['phantomdb_log_info = 0', 'phantomdb_log_warning = 1']);
});

test('each code of the library is told of in the types', () => {
  const types = readFileSync(path.join(here, '../types/pool.d.ts'), 'utf8');
  const native = require('../lib/native.js');
  for (const { name } of native.codes.slice(1)) assert.ok(types.includes(`\`${name}\``), name);
  const operations = readFileSync(path.join(here, '../types/operations.d.ts'), 'utf8');
  for (const { name } of native.operations) {
    const method = name.replace(/_(.)/g, (_, initial) => initial.toUpperCase());
    assert.match(
      operations,
      new RegExp(`^  ${method}(<.*>)?\\($|^  ${method}(<.*>)?\\(.*`, 'm'),
      name,
    );
  }
});

test('the types tell each option of the library, with its type and its default, and no other', () => {
  const types = readFileSync(path.join(here, '../types/pool.d.ts'), 'utf8');
  const header = readFileSync(path.join(here, '../../../include/phantomdb.h'), 'utf8');
  const { options } = require('../lib/options.js');
  const [, body] = types.match(/^export interface PoolOptions \{\n(.*?)^\}/ms);
  const told = [...body.matchAll(/ {2}\/\*\* (.*?) \*\/\n {2}(\w+)\?: (.*);\n/g)];
  assert.equal(told.map(([member]) => member).join(''), body);
  assert.deepEqual(
    told.map(([, , property]) => property).sort(),
    options.map(({ property }) => property).sort(),
  );
  const kinds = [...header.matchAll(/^ {4}PHANTOMDB_OPTION_([A-Z]+) = (\d+),$/gm)];
  const typeOf = {
    COUNT: 'number',
    SIZE: 'number',
    TIME: 'number',
    FLAG: 'boolean',
    TEXT: 'string',
    FILE: 'string',
  };
  for (const [, comment, property, type] of told) {
    const option = options.find((each) => each.property === property);
    const [, kind] = kinds.find(([, , number]) => Number(number) === option.type);
    if (kind === 'LOG') continue;
    if (kind === 'CHOICE') {
      const [, union] = types.match(new RegExp(`^export type ${type} = (.*);$`, 'm'));
      assert.equal(union, option.choices.map((choice) => `'${choice}'`).join(' | '));
    } else {
      assert.equal(type, typeOf[kind], property);
    }
    // Texts without a default say it in words; a flag is off unless it is given.
    const ours = kind === 'CHOICE' ? option.choices[option.default] : option.default;
    if (ours === undefined || kind === 'FLAG') continue;
    const [, theirs] = comment.replaceAll('`', '').match(/\bDefault (\d+|'.*?')/) ?? [];
    assert.equal(theirs, typeof ours === 'number' ? `${ours}` : `'${ours}'`, property);
  }
  assert.match(types, /Times are in milliseconds/);
});
