'use strict';

// JSON as usual, but for whole numbers that a JavaScript number can't hold: they are BigInts on
// both ways, instead of other numbers in silence.

const LONG_NUMBER = /\d{16}/;
const STRING_OR_LONG_INTEGER = /"(?:[^"\\]|\\.)*"|(?<![\d.eE+-])-?\d{16,}(?![\d.eE])/g;

/** A prefix that no string in the text has. */
function unusedMark(text) {
  let mark = '\u0001n';
  while (text.includes(JSON.stringify(mark).slice(1, -1))) mark += 'n';
  return mark;
}

function parseExactly(text) {
  const mark = unusedMark(text);
  const marked = text.replace(STRING_OR_LONG_INTEGER, (found) => {
    if (found[0] === '"' || Number.isSafeInteger(Number(found))) return found;
    return JSON.stringify(mark + found);
  });
  return JSON.parse(marked, (_, value) =>
    typeof value === 'string' && value.startsWith(mark) ? BigInt(value.slice(mark.length)) : value,
  );
}

/** @param {string} text */
function parse(text) {
  return LONG_NUMBER.test(text) ? parseExactly(text) : JSON.parse(text);
}

function stringifyExactly(value) {
  const mark = `\u0001n${Math.random()}`;
  const marked = JSON.stringify(value, (_, member) =>
    typeof member === 'bigint' ? mark + member : member,
  );
  return marked?.replaceAll(new RegExp(`"\\\\u0001n${mark.slice(2)}(-?\\d+)"`, 'g'), '$1');
}

/** The JSON of a value; undefined if it has none, as a function has none. */
function stringify(value) {
  try {
    return JSON.stringify(value);
  } catch (error) {
    // What it says of a BigInt, and of a circle, which the second try says once more.
    if (error instanceof TypeError) return stringifyExactly(value);
    throw error;
  }
}

module.exports = { parse, stringify };
