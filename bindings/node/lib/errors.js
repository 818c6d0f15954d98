'use strict';

const native = require('./native.js');

/** The names of the codes, by their numbers. */
const names = new Map(native.codes.map(({ code, name }) => [code, name]));

const camelCase = (name) => name.replace(/_(.)/g, (_, initial) => initial.toUpperCase());

/** What options and arguments are called here, by the names that the core gives them. */
const named = new Map([
  ...native.options.map(({ name }) => [name, camelCase(name)]),
  ...native.operations.flatMap((it) => it.arguments).map((name) => [name, camelCase(name)]),
]);

/** Calls options and arguments as the caller did; what the server or SQL said is left alone. */
function worded(message, code) {
  if (code !== 'INVALID_ARGUMENT') return message;
  return message.replace(/\b[a-z]+(?:_[a-z]+)+\b/g, (name) => named.get(name) ?? name);
}

class PhantomDBError extends Error {
  constructor(message, { code, status, retriable = false, retryAfter, cause } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.status = status;
    this.retriable = retriable;
    this.retryAfter = retryAfter;
  }
}
Object.defineProperty(PhantomDBError.prototype, 'name', {
  value: 'PhantomDBError',
  configurable: true,
  writable: true,
});

/** What the numbers of a message (see `error_show` in native/errors.c) and its text tell of an error. */
function detailsFrom(numbers, at, text) {
  const code = names.get(numbers[at + 2]);
  return {
    message: worded(text, code),
    code,
    status: numbers[at + 3] || undefined,
    retriable: numbers[at + 5] === 1,
    retryAfter: numbers[at + 4] || undefined,
  };
}

function errorFrom(details) {
  return new PhantomDBError(details.message, details);
}

/** The error of a call that its AbortSignal ended. */
function aborted(signal, message = 'The call was aborted before it began') {
  const error = new PhantomDBError(message, { code: 'CANCELLED', cause: signal.reason });
  error.name = 'AbortError';
  return error;
}

/** The error of an argument that can't be used. */
function invalid(name, why) {
  return new PhantomDBError(`${name}: ${why}`, { code: 'INVALID_ARGUMENT' });
}

module.exports = { PhantomDBError, aborted, camelCase, detailsFrom, errorFrom, invalid };
