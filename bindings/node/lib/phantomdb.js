'use strict';

// A client without a pool, under the names of PhantomDB's own JavaScript SDK.

const native = require('./native.js');
const { check } = require('./calls.js');
const { invalid } = require('./errors.js');
const { Session, TARGET } = require('./operations.js');
const { Pool } = require('./pool.js');

/** One connection, which opens at its first request and again whenever it was lost. */
const ONE = { minConnections: 1, maxConnections: 1, validation: 'none' };
/** What would make a pool of it. */
const OF_POOLS = new Set([
  ...['minConnections', 'maxConnections', 'acquireTimeout', 'idleTimeout', 'maxWaiters'],
  ...['maxConnecting', 'leakThreshold', 'preconnect'],
  ...['validation', 'validateAfter', 'validationTimeout'],
]);

/** The connections of clients that are collected as garbage; their pools close by themselves then. */
const lost = new FinalizationRegistry((number) => native.release(number, false));

class PhantomDB extends Session {
  #pool;
  #number;

  constructor(options = {}) {
    super();
    const given = typeof options === 'string' ? { baseUrl: options } : options;
    if (typeof given !== 'object' || given === null) {
      throw invalid('baseUrl', 'must be a string, or an object of options');
    }
    for (const name of Object.keys(given)) {
      if (OF_POOLS.has(name))
        throw invalid(name, 'is an option of a pool, and this is one connection');
    }
    this.#pool = new Pool({ ...given, ...ONE });
    this.#number = native.tryAcquire(this.#pool[TARGET]);
    check(this.#number);
    lost.register(this, this.#number, this);
  }

  get baseUrl() {
    return this.#pool.baseUrl;
  }

  setToken(token) {
    this.#pool.setToken(token);
  }

  close() {
    // A request that is under way is cut: nobody else could release what it uses.
    return this.#pool.close({ timeout: 0 });
  }

  get [TARGET]() {
    return this.#number;
  }
}

if (Symbol.asyncDispose !== undefined) {
  PhantomDB.prototype[Symbol.asyncDispose] = function () {
    return this.close();
  };
}

function connect(options) {
  return new PhantomDB(options);
}

module.exports = { PhantomDB, connect };
