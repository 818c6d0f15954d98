import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { test } from 'node:test';
import * as imported from 'phantomdb';
import * as importedPool from 'phantomdb/pool';
import { here } from './support.mjs';

const require = createRequire(import.meta.url);
const names = ['Client', 'PhantomDBError', 'Pool', 'createPool'];

test('import and require give the same', () => {
  const required = require('phantomdb');
  assert.deepEqual(Object.keys(require('phantomdb/pool')).sort(), names);
  assert.deepEqual(Object.keys(required).sort(), [...names, 'version']);
  assert.deepEqual(Object.keys(imported).sort(), [...names, 'default', 'version'].sort());
  assert.deepEqual(Object.keys(importedPool).sort(), [...names, 'default'].sort());
  for (const [name, value] of Object.entries(required)) {
    assert.equal(new Map(Object.entries(imported)).get(name), value);
    if (name !== 'version') assert.equal(new Map(Object.entries(importedPool)).get(name), value);
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
  const [, log] = read('lib/calls.js').match(/^const LOG = (\d+);$/m);
  assert.equal(members.indexOf('MESSAGE_LOG'), Number(log));
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
  for (const name of native.options) assert.match(types, new RegExp(`^  ${name}\\?: `, 'm'));
  for (const { name } of native.operations) {
    const method = name.replace(/_(.)/g, (_, letter) => letter.toUpperCase());
    assert.match(types, new RegExp(`^  ${method}(<.*>)?\\($|^  ${method}(<.*>)?\\(.*`, 'm'), name);
  }
});
