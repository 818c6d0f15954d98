'use strict';

// The calls that are under way. Each has a number, by which the addon knows it; what they come to
// is told by `settle`, many at a time.

const native = require('./native.js');
const { aborted, errorFrom, invalid } = require('./errors.js');

/** As MESSAGE_LOG in native/addon.h. */
const LOG = 3;
/** How many numbers a message has; as there. */
const NUMBERS = 6;

const open = [];
const free = [];
const numbers = native.begin(settle);

/** Told of the messages of pools' logs; see pool.js. */
let onLog = () => {};

class Call {
  constructor(resolve, reject, read, keep) {
    this.resolve = resolve;
    this.reject = reject;
    this.read = read;
    // What must not be collected as garbage while the call is under way.
    this.keep = keep;
    this.signal = undefined;
    this.onAbort = undefined;
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

/** A promise of what the call with this number comes to: what `read` makes of it. */
function promise(id, read, keep, signal) {
  return new Promise((resolve, reject) => {
    const call = new Call(resolve, reject, read, keep);
    open[id] = call;
    if (signal !== undefined) {
      call.signal = signal;
      call.onAbort = () => native.cancel(id);
      signal.addEventListener('abort', call.onAbort, { once: true });
    }
  });
}

function settle(count, texts) {
  for (let i = 0, at = 0; i < count; i++, at += NUMBERS) {
    const id = numbers[at + 1];
    if (numbers[at] === LOG) {
      // Later, when whatever it does or throws can disturb nobody here.
      const level = numbers[at + 2];
      queueMicrotask(() => onLog(id, level, texts[i]));
      continue;
    }
    const call = open[id];
    open[id] = undefined;
    abandon(id);
    if (call.signal !== undefined) call.signal.removeEventListener('abort', call.onAbort);
    if (numbers[at + 2] === 0) {
      succeed(call, texts[i], numbers[at + 3]);
    } else {
      fail(call, errorFrom(numbers, at, texts[i] ?? ''));
    }
  }
}

function succeed(call, text, number) {
  let value;
  try {
    value = call.read(text, number, call.keep);
  } catch (error) {
    call.reject(error);
    return;
  }
  call.resolve(value);
}

function fail(call, error) {
  const isAborted = error.code === 'CANCELLED' && call.signal?.aborted === true;
  call.reject(isAborted ? aborted(call.signal, error.message) : error);
}

/** What went wrong in the call of the addon that has just returned. */
function lastError() {
  const message = native.lastError();
  return errorFrom(numbers, 0, message);
}

/** Throws if a function of the addon returned an error. */
function check(code) {
  if (code < 0) throw lastError();
}

/** The signal among a call's options; throws if it is aborted already. */
function signalOf(options) {
  const signal = options?.signal;
  if (signal === undefined || signal === null) return undefined;
  if (typeof signal.addEventListener !== 'function' || typeof signal.aborted !== 'boolean') {
    throw invalid('signal', 'is no AbortSignal');
  }
  if (signal.aborted) throw aborted(signal);
  return signal;
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
