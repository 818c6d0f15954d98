'use strict';

const native = require('./native.js');
const calls = require('./calls.js');
const { Client, create, takeFrom } = require('./client.js');
const { PhantomDBError, invalid } = require('./errors.js');
const { IS_POOL, Operations, TARGET } = require('./operations.js');
const { count, time, valuesOf, withDefaults } = require('./options.js');

/** What `acquire` in native/functions.c returns instead of a client. */
const WAITS = -1;
/** PHANTOMDB_POOL_TIMEOUT: the pool's own. */
const POOL_TIMEOUT = -1;
/** By the numbers of phantomdb_log_level. */
const LOG_LEVELS = ['info', 'warning'];
const LOG = Symbol('log');

/** Pools with a log, by their numbers. */
const logging = new Map();
calls.setLog((pool, level, message) =>
  logging.get(pool)?.deref()?.[LOG](LOG_LEVELS[level], message),
);

/** Pools that are collected as garbage; those that nobody closed close now. */
const lost = new FinalizationRegistry((pool) => {
  const forget = () => {
    logging.delete(pool.number);
    native.forgetPool(pool.number);
  };
  if (pool.isClosed) forget();
  // If no thread could be started for it now, it stays open to the end of the process.
  else close(pool.number, POOL_TIMEOUT).then(forget, () => {});
});

async function close(pool, timeout, keep) {
  const id = calls.reserve();
  if (native.close(pool, timeout, id) < 0) {
    calls.abandon(id);
    throw calls.lastError();
  }
  return calls.promise(id, () => undefined, keep);
}

function timeoutOf(options) {
  const timeout = options?.timeout ?? undefined;
  return timeout === undefined ? POOL_TIMEOUT : time('timeout', timeout);
}

/** Whose a client is, checked as far as it can be before anything happens. */
function ownerOf(options) {
  const owner = options?.owner;
  if (owner === undefined || owner === null) return undefined;
  if (typeof owner !== 'string') throw invalid('owner', 'must be a string');
  return owner;
}

class Pool extends Operations {
  #number;
  #log;
  #options;
  #isClosing = false;
  /** What is left to know of it when it is collected as garbage. */
  #remains;

  constructor(options = {}) {
    super();
    if (typeof options !== 'object' || options === null)
      throw invalid('options', 'must be an object');
    const values = valuesOf(options);
    const log = options.log ?? undefined;
    const number = native.createPool(values, log !== undefined);
    calls.check(number);
    this.#number = number;
    this.#options = withDefaults(options);
    if (log !== undefined) {
      this.#log = log;
      logging.set(number, new WeakRef(this));
    }
    this.#remains = { number, isClosed: false };
    lost.register(this, this.#remains);
  }

  acquire(options) {
    try {
      const client = this.#acquire(options);
      return client instanceof Promise ? client : Promise.resolve(client);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  tryAcquire(options) {
    const owner = ownerOf(options);
    const client = native.tryAcquire(this.#number);
    calls.check(client);
    return this.#client(client, owner);
  }

  release(client) {
    this.#takeBack(client, false);
  }

  discard(client) {
    this.#takeBack(client, true);
  }

  async use(work, options) {
    if (typeof work !== 'function') throw invalid('work', 'must be a function');
    const acquired = this.#acquire(options);
    const client = acquired instanceof Promise ? await acquired : acquired;
    try {
      return await work(client);
    } finally {
      // It may have been released by hand.
      if (!client.isReleased) this.release(client);
    }
  }

  query(database, sql, parameters, options) {
    return this.executeQuery(database, sql, parameters, options);
  }

  getStatus() {
    calls.check(native.status(this.#number));
    const [available, used, pending, , min, max] = calls.numbers;
    return { available, used, pending, min, max };
  }

  getStats() {
    const text = native.stats(this.#number);
    if (text === undefined) throw calls.lastError();
    return JSON.parse(text);
  }

  getMetrics() {
    const text = native.metrics(this.#number);
    if (text === undefined) throw calls.lastError();
    return text;
  }

  reset() {
    calls.check(native.reset(this.#number));
  }

  resize(minConnections, maxConnections) {
    count('minConnections', minConnections);
    count('maxConnections', maxConnections);
    calls.check(native.resize(this.#number, minConnections, maxConnections));
    Object.assign(this.#options, { minConnections, maxConnections });
  }

  setToken(token) {
    calls.check(native.setToken(this.#number, token));
  }

  async close(options) {
    const timeout = timeoutOf(options);
    this.#isClosing = true;
    await close(this.#number, timeout, this);
    this.#remains.isClosed = true;
  }

  get baseUrl() {
    return this.#options.baseUrl.replace(/\/+$/, '');
  }

  get minConnections() {
    return this.#options.minConnections;
  }

  get maxConnections() {
    return this.#options.maxConnections;
  }

  get acquireTimeout() {
    return this.#options.acquireTimeout;
  }

  get idleTimeout() {
    return this.#options.idleTimeout;
  }

  get closed() {
    return this.#isClosing;
  }

  /** A client, if one is free; else a promise of one. */
  #acquire(options) {
    const signal = calls.signalOf(options, this.#number);
    const timeout = timeoutOf(options);
    const owner = ownerOf(options);
    const id = calls.reserve();
    const client = native.acquire(this.#number, timeout, id, signal !== undefined);
    if (client === WAITS) {
      return calls.promise(id, (number) => this.#client(number, owner), this, signal);
    }
    calls.abandon(id);
    calls.check(client);
    return this.#client(client, owner);
  }

  #client(number, owner) {
    const client = create(this, number, owner);
    if (owner === undefined) return client;
    try {
      client.setOwner(owner);
    } catch (error) {
      this.release(client);
      throw error;
    }
    return client;
  }

  #takeBack(client, isDiscarded) {
    if (native.release(takeFrom(client, this), isDiscarded) < 0) {
      const error = calls.lastError();
      // The pool took it back itself.
      if (error.code !== 'CLOSED') throw error;
    }
  }

  [LOG](level, message) {
    this.#log(level, message);
  }

  get [TARGET]() {
    return this.#number;
  }

  get [IS_POOL]() {
    return true;
  }
}

if (Symbol.asyncDispose !== undefined) {
  Pool.prototype[Symbol.asyncDispose] = function () {
    return this.close();
  };
}

function createPool(options) {
  return new Pool(options);
}

module.exports = { Client, PhantomDBConnectionPool: Pool, PhantomDBError, Pool, createPool };
