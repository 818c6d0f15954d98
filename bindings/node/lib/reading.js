'use strict';

// Results as values. The core has checked them and knows each value's type; what it shows, some hundred
// values at a time, becomes values here, so that they are of this realm. A large result is made in slices,
// between which the event loop turns.

const native = require('./native.js');
const { setImmediate } = require('node:timers');

/** As in native/addon.h: how many values are shown at once, what can be read, and the kinds of values. */
const VALUES = 256;
const [COLUMNS, CELLS, ITEMS, WHOLE, CELL] = [0, 1, 2, 3, 4];
const [, BOOL, NUMBER, BIGINT, TEXT, JSON_TEXT, ARRAY, OBJECT, KEY, END] = [
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9,
];

/** Told with a count: nothing is left to be shown. */
const IS_END = 1 << 16;

/** How many milliseconds the event loop may be held up at a time. */
const SLICE = 2;
/** Of how many rows a table has to be for a template of its rows to be worth its while. */
const MANY = 8;
/** How many values inside of cells are read in one step. */
const MOST_INNER = 4 * VALUES;

let kinds;
let numbers;
let rowNumbers;
let columnNumbers;

/** To be called when the addon has begun. */
function begin() {
  ({ kinds, values: numbers, rows: rowNumbers, columns: columnNumbers } = native);
}

/** Sets a member of its own, whatever its name is. */
function setMember(object, name, value) {
  if (name === '__proto__') {
    Object.defineProperty(object, name, {
      value,
      configurable: true,
      enumerable: true,
      writable: true,
    });
  } else {
    object[name] = value;
  }
}

function scalar(kind, at, texts, textAt) {
  switch (kind) {
    case BOOL:
      return numbers[at] === 1;
    case NUMBER:
      return numbers[at];
    case BIGINT:
      return BigInt(texts[textAt]);
    case TEXT:
      return texts[textAt];
    default:
      return null;
  }
}

/**
 * What all readers have in common: `step` reads some more, and says whether that was all; then `result` is
 * what was read. Throws what `failure` says of an error.
 */
class Reader {
  constructor(number, failure) {
    this.number = number;
    this.failure = failure;
    this.texts = undefined;
    this.textAt = 0;
    this.isEnd = false;
  }

  /** Has the next values shown; gives how many they are. */
  read(part, row, column) {
    this.texts = [];
    this.textAt = 0;
    const count = native.read(this.number, part, this.texts, row, column);
    if (count < 0) throw this.failure();
    this.isEnd = count >= IS_END;
    return this.isEnd ? count - IS_END : count;
  }
}

/** JSON of any shape: the whole result, or what is in one cell. */
class JsonReader extends Reader {
  constructor(number, failure, part = WHOLE, row = 0, column = 0) {
    super(number, failure);
    this.part = part;
    this.row = row;
    this.column = column;
    this.outer = [];
    this.inner = undefined;
    this.key = undefined;
    this.result = undefined;
    this.count = 0;
  }

  step() {
    this.count = this.read(this.part, this.row, this.column);
    for (let at = VALUES; at < VALUES + this.count; at++) this.take(kinds[at], at);
    return this.isEnd;
  }

  take(kind, at) {
    if (kind === KEY) {
      this.key = this.texts[this.textAt++];
    } else if (kind === END) {
      this.inner = this.outer.pop();
    } else if (kind === ARRAY || kind === OBJECT) {
      const value = kind === ARRAY ? [] : {};
      this.place(value);
      this.outer.push(this.inner);
      this.inner = value;
    } else {
      const value = scalar(kind, at, this.texts, this.textAt);
      if (kind === TEXT || kind === BIGINT) this.textAt++;
      this.place(value);
    }
  }

  place(value) {
    if (this.inner === undefined) this.result = value;
    else if (Array.isArray(this.inner)) this.inner.push(value);
    else setMember(this.inner, this.key, value);
  }
}

/** A request without a name, whose response need not be JSON. */
class AnyReader extends JsonReader {
  step() {
    try {
      return super.step();
    } catch (error) {
      if (error.code !== 'TYPE') throw error;
    }
    this.result = native.text(this.number);
    if (this.result === undefined) throw this.failure();
    return true;
  }
}

/** The id of a transaction that has begun. */
class TransactionReader extends JsonReader {
  step() {
    const isOver = super.step();
    if (isOver) this.result = this.result.transaction_id;
    return isOver;
  }
}

/** A list of names. */
class ListReader extends Reader {
  result = [];

  step() {
    this.read(ITEMS);
    for (const text of this.texts) this.result.push(text);
    return this.isEnd;
  }
}

/** The rows of a table. */
class RowsReader extends Reader {
  constructor(number, failure) {
    super(number, failure);
    this.columns = [];
    this.hasColumns = false;
    this.rows = [];
    this.rowCount = 0;
    this.reportedCount = 0;
    this.affectedRows = -1;
    /** A row that has every column. Its copies become the rows that have them all: V8 is quick at that. */
    this.template = undefined;
    /** The row that is being read, and what it has so far. */
    this.row = -1;
    this.places = [];
    this.values = [];
    /** The cells that are shown, and how many of them are read. */
    this.count = 0;
    this.at = 0;
    this.isLast = false;
    /** What reads the JSON in a cell, and the cells while it has no time to. */
    this.inner = undefined;
    this.shown = undefined;
  }

  get result() {
    return this.rows;
  }

  step() {
    if (!this.hasColumns && !this.readColumns()) return false;
    if (this.shown === undefined) {
      this.count = this.read(CELLS);
      this.isLast = this.isEnd;
      this.at = 0;
    } else {
      this.showAgain();
    }
    if (!this.takeCells()) {
      this.shown = [kinds, numbers, rowNumbers, columnNumbers].map((it) => it.slice(0, VALUES));
      return false;
    }
    if (!this.isLast) return false;
    this.endRow();
    this.skipRows(this.rowCount);
    return true;
  }

  readColumns() {
    this.read(COLUMNS);
    for (const text of this.texts) this.columns.push(text);
    if (!this.isEnd) return false;
    if (native.counts(this.number) < 0) throw this.failure();
    [this.rowCount, this.reportedCount, this.affectedRows] = numbers;
    this.hasColumns = true;
    return true;
  }

  /** Other results were shown meanwhile. */
  showAgain() {
    for (const [i, all] of [kinds, numbers, rowNumbers, columnNumbers].entries()) {
      all.set(this.shown[i]);
    }
    this.shown = undefined;
  }

  /** False if the JSON in cells needs more time. */
  takeCells() {
    let left = MOST_INNER;
    for (; this.at < this.count; this.at++) {
      const { at } = this;
      let value;
      if (kinds[at] === JSON_TEXT) {
        if (left <= 0) return false;
        this.inner ??= new JsonReader(
          this.number,
          this.failure,
          CELL,
          rowNumbers[at],
          columnNumbers[at],
        );
        const isOver = this.inner.step();
        left -= this.inner.count;
        if (!isOver) return false;
        value = this.inner.result;
        this.inner = undefined;
      } else {
        value = scalar(kinds[at], at, this.texts, this.textAt);
        if (kinds[at] === TEXT || kinds[at] === BIGINT) this.textAt++;
      }
      if (rowNumbers[at] !== this.row) {
        this.endRow();
        this.row = rowNumbers[at];
      }
      this.places.push(columnNumbers[at]);
      this.values.push(value);
    }
    return true;
  }

  endRow() {
    if (this.row < 0) return;
    this.skipRows(this.row);
    this.rows.push(this.makeRow());
    this.places.length = 0;
    this.values.length = 0;
  }

  /** Rows without any cell, up to this one. */
  skipRows(row) {
    while (this.rows.length < row) this.rows.push({});
  }

  makeRow() {
    const { columns, places, values } = this;
    if (values.length === columns.length && this.rowCount >= MANY) {
      this.template ??= this.makeTemplate();
      const row = { ...this.template };
      // Each is a member of the row's own already, `__proto__` too.
      for (let i = 0; i < values.length; i++) row[columns[i]] = values[i];
      return row;
    }
    const row = {};
    for (let i = 0; i < values.length; i++) setMember(row, columns[places[i]], values[i]);
    return row;
  }

  makeTemplate() {
    return JSON.parse(`{${this.columns.map((name) => `${JSON.stringify(name)}:null`).join()}}`);
  }
}

/** What a statement gives; also by the names that PhantomDB's own SDK and servers have for it. */
class QueryResult {
  constructor(columns, rows, rowCount, affectedRows) {
    this.columns = columns;
    this.rows = rows;
    this.rowCount = rowCount;
    this.affectedRows = affectedRows;
  }

  get records() {
    return this.rows;
  }

  get results() {
    return this.rows;
  }

  get affected_rows() {
    return this.affectedRows;
  }
}

class QueryReader extends RowsReader {
  get result() {
    const { columns, rows, reportedCount, affectedRows } = this;
    return new QueryResult(columns, rows, reportedCount, affectedRows < 0 ? null : affectedRows);
  }
}

/** Results that wait for the next turns of the event loop: `advance` reads some more of one. */
const waiting = [];

function turn() {
  const end = performance.now() + SLICE;
  do {
    const work = waiting.shift();
    if (!advance(work)) waiting.push(work);
  } while (waiting.length > 0 && performance.now() < end);
  if (waiting.length > 0) setImmediate(turn);
}

/** Reads some more of a result; true when nothing is left to do. */
function advance(work) {
  try {
    if (work.isAborted()) throw work.abortion();
    if (!work.reader.step()) return false;
  } catch (error) {
    native.free(work.reader.number);
    work.fail(error);
    return true;
  }
  native.free(work.reader.number);
  work.succeed(work.reader.result);
  return true;
}

/** Reads the result that `work` has a reader of, a small one at once. */
function read(work) {
  if (advance(work)) return;
  waiting.push(work);
  if (waiting.length === 1) setImmediate(turn);
}

module.exports = {
  AnyReader,
  JsonReader,
  ListReader,
  QueryReader,
  RowsReader,
  TransactionReader,
  begin,
  read,
};
