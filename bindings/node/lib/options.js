'use strict';

// The options of a pool: which there are, the table of the library says.

const native = require('./native.js');
const { camelCase, invalid } = require('./errors.js');

/** By the numbers of phantomdb_option_type. */
const readers = [
  undefined,
  count,
  // What a number of JavaScript holds exactly.
  (name, value) => whole(name, value, Number.MAX_SAFE_INTEGER),
  time,
  (name, value) => {
    if (typeof value !== 'boolean') throw invalid(name, 'must be true or false');
    return Number(value);
  },
  (name, value, { choices }) => {
    if (choices.includes(value)) return choices.indexOf(value);
    throw invalid(name, `must be one of ${choices.map((choice) => `'${choice}'`).join(', ')}`);
  },
  // Texts are read below.
  (_, value) => value,
  (_, value) => value,
  (name, value) => {
    if (typeof value !== 'function') throw invalid(name, 'must be a function');
  },
];

/** The table, with what each option is called here and how its value is read. */
const options = native.options.map((option) => ({
  ...option,
  property: camelCase(option.name),
  read: readers[option.type],
}));
const known = new Set(options.map(({ property }) => property));

function whole(name, value, most) {
  if (typeof value !== 'number') throw invalid(name, 'must be a number');
  if (!Number.isInteger(value) || value < 0 || value > most) {
    throw invalid(name, 'must be a whole number, and in range');
  }
  return value;
}

/** A number of connections or callers; the library has 32 bits for it. */
function count(name, value) {
  return whole(name, value, 2 ** 32 - 1);
}

/** A time in whole milliseconds: a part of one is as good as a whole one. */
function time(name, value) {
  // 365 days.
  if (typeof value !== 'number' || !(value >= 0 && value <= 31_536_000_000)) {
    throw invalid(name, 'must be a time in milliseconds between 0 and 365 days');
  }
  return Math.ceil(value);
}

/** What `createPool` of the library takes: a value for each option of its table, undefined for a default. */
function valuesOf(given) {
  for (const name of Object.keys(given)) {
    if (!known.has(name)) throw invalid(name, 'is not an option of a pool');
  }
  return options.map((option) => {
    const value = given[option.property] ?? undefined;
    return value === undefined ? undefined : option.read(option.property, value, option);
  });
}

/** The options that are given, and the defaults of the others. */
function withDefaults(given) {
  return Object.fromEntries(
    options.map(({ property, default: ours }) => [property, given[property] ?? ours]),
  );
}

module.exports = { count, options, time, valuesOf, withDefaults };
