'use strict';

// The calls that are under way. Each has a number, by which the addon knows it; what they come to
// is told by `settle`, many at a time.

const native = require('./native.js');
const reading = require('./reading.js');
const { aborted, detailsFrom, errorFrom, invalid } = require('./errors.js');

// Jest takes the globals away when a test file is over, and messages may still come.
const { Promise: Pledge, queueMicrotask: later } = globalThis;

/** As MESSAGE_RESULT and MESSAGE_LOG in native/addon.h. */
const [RESULT, LOG] = [0, 3];
/** How many numbers a message has; as there. */
const NUMBERS = 6;

const open = [];
const free = [];
/** Others have an event loop of their own, behind some of libuv's names. */
const hasLibuv = process.versions.bun === undefined && process.versions.deno === undefined;
const numbers = native.begin(settle, hasLibuv);
reading.begin();

/** Told of the messages of pools' logs; see pool.js. */
let onLog = () => {};

class Call {
  constructor(resolve, read, keep) {
    this.resolve = resolve;
    this.read = read;
    // What must not be collected as garbage while the call is under way.
    this.keep = keep;
    this.watch = undefined;
    this.reader = undefined;
  }

  isAborted() {
    return this.watch?.signal.aborted === true;
  }

  abortion() {
    return { code: 'CANCELLED', message: 'The call was aborted while its response was read' };
  }

  succeed(value) {
    this.resolve(value);
  }

  /**
   * Rejects the call's promise. The error is made in a reaction that the promise waits for, because there V8
   * finds out who awaits the promise, and names them in the error's stack. A call that succeeds pays
   * nothing for it.
   */
  fail(details) {
    let start;
    const failed = new Pledge((resolve) => {
      start = resolve;
    }).then(() => {
      throw this.errorOf(details);
    });
    this.resolve(failed);
    start();
  }

  errorOf(details) {
    // A fault of this package's own.
    if (details instanceof Error) return details;
    if (details.code !== 'CANCELLED' || !this.isAborted()) return errorFrom(details);
    return aborted(this.watch.signal, details.message);
  }
}

/** The signals that may end calls. */
const watches = new WeakMap();

/** One listener for a signal, however many calls it may end: Node.js takes many for a leak. */
class Watch {
  constructor(signal) {
    this.signal = signal;
    this.ids = new Set();
    this.onAbort = () => {
      for (const id of this.ids) native.cancel(id);
    };
    signal.addEventListener('abort', this.onAbort, { once: true });
    watches.set(signal, this);
  }

  static add(signal, id) {
    const watch = watches.get(signal) ?? new Watch(signal);
    watch.ids.add(id);
    return watch;
  }

  drop(id) {
    this.ids.delete(id);
    if (this.ids.size > 0) return;
    this.signal.removeEventListener('abort', this.onAbort);
    watches.delete(this.signal);
  }
}

/** A number for a call that is about to be made. */
function reserve() {
  return free.length > 0 ? free.pop() : open.push(undefined) - 1;
}

/** Takes the number back from a call that was not made, or is over. */
function abandon(id) {
  free.push(id);
}

/**
 * A promise of what the call with this number comes to: what `read` makes of it, which is a class of readers for
 * a call that brings a result.
 */
function promise(id, read, keep, signal) {
  return new Pledge((resolve) => {
    const call = new Call(resolve, read, keep);
    open[id] = call;
    if (signal !== undefined) call.watch = Watch.add(signal, id);
  });
}

function settle(count, texts) {
  // A client that goes back at once may have others told within this call, by numbers of theirs; those of a single
  // message have been read by then.
  const told = count === 1 ? numbers : numbers.slice(0, count * NUMBERS);
  for (let i = 0, at = 0; i < count; i++, at += NUMBERS) {
    const id = told[at + 1];
    if (told[at] === LOG) {
      // Later, when whatever it does or throws can disturb nobody here.
      const level = told[at + 2];
      later(() => onLog(id, level, texts?.[i]));
      continue;
    }
    const call = open[id];
    open[id] = undefined;
    abandon(id);
    call.watch?.drop(id);
    if (told[at + 2] !== 0) call.fail(detailsFrom(told, at, texts?.[i] ?? ''));
    else if (told[at] === RESULT) readResult(call, told[at + 3]);
    else hand(call, told[at + 3]);
  }
}

/** Hands a call what it brought but a result; `read` may find only now that an argument can't be used. */
function hand(call, number) {
  let value;
  try {
    value = call.read(number);
  } catch (error) {
    call.fail(error);
    return;
  }
  call.succeed(value);
}

function readResult(call, number) {
  call.reader = new call.read(number, lastDetails);
  reading.read(call);
}

function lastDetails() {
  const message = native.lastError();
  return detailsFrom(numbers, 0, message);
}

/** What went wrong in the call of the addon that has just returned. */
function lastError() {
  return errorFrom(lastDetails());
}

/** Throws if a function of the addon returned an error. */
function check(code) {
  if (code < 0) throw lastError();
}

/**
 * The signal among a call's options; throws if it is aborted already. A call on a pool counts as an acquire that
 * was cancelled then.
 */
function signalOf(options, pool) {
  const signal = options?.signal;
  if (signal === undefined || signal === null) return undefined;
  if (typeof signal.addEventListener !== 'function' || typeof signal.aborted !== 'boolean') {
    throw invalid('signal', 'must be an AbortSignal');
  }
  if (!signal.aborted) return signal;
  if (pool !== undefined) {
    native.acquireCancelled(pool);
    const error = lastError();
    if (error.code !== 'CANCELLED') throw error;
  }
  throw aborted(signal);
}

module.exports = {
  abandon,
  check,
  lastError,
  numbers,
  promise,
  reserve,
  signalOf,
  setLog(log) {
    onLog = log;
  },
};
