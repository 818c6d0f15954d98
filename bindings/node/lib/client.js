'use strict';

const native = require('./native.js');
const { check } = require('./calls.js');
const { PhantomDBError, invalid } = require('./errors.js');
const { Session, TARGET } = require('./operations.js');

/** Clients that are collected as garbage without having been released. */
const lost = new FinalizationRegistry(({ client, owner }) => {
  native.release(client, false);
  process.emitWarning(
    `A client${owner === undefined ? '' : ` of '${owner}'`} was collected as garbage without having ` +
      'been released, and is back in its pool only now. Release every client that you acquire, or use pool.use',
    'PhantomDBWarning',
  );
});

/**
 * Clients in use that were made since the last collection of garbage. Most are released before the next, and would
 * be registered for nothing, which costs more than an acquire. They are held here meanwhile, so that those who are
 * dropped are not collected before they are registered.
 */
const recent = [];
let isWatching = false;

/** Tells of a collection: something that nobody uses is gone. */
const collections = new FinalizationRegistry(() => {
  isWatching = false;
  for (const client of recent) register(client);
  recent.length = 0;
});

/** Makes a client of a pool. */
let create;
/** Registers a client that is not recent any more. */
let register;
/** Takes the connection away from a client; gives its number. */
let takeFrom;

class Client extends Session {
  #pool;
  #number;
  #owner;
  /** Where it is among the recent ones; -1 if it is registered. */
  #place = recent.length;

  static {
    create = (pool, number, owner) => new Client(pool, number, owner, create);
    register = (client) => {
      client.#place = -1;
      lost.register(client, { client: client.#number, owner: client.#owner }, client);
    };
    takeFrom = (client, pool) => {
      if (client === null || typeof client !== 'object' || !(#number in client)) {
        throw invalid('client', 'is not a client of a pool');
      }
      if (client.#pool !== pool) {
        throw new PhantomDBError('client: belongs to another pool; release it there', {
          code: 'INVALID_HANDLE',
        });
      }
      const number = client[TARGET];
      client.#number = -1;
      if (client.#place < 0) {
        lost.unregister(client);
      } else {
        const last = recent.pop();
        if (last !== client) {
          last.#place = client.#place;
          recent[client.#place] = last;
        }
      }
      return number;
    };
  }

  constructor(pool, number, owner, key) {
    if (key !== create) throw new TypeError('Clients are made by pool.acquire and pool.use');
    super();
    this.#pool = pool;
    this.#number = number;
    this.#owner = owner;
    recent.push(this);
    if (!isWatching) {
      isWatching = true;
      collections.register({});
    }
  }

  get pool() {
    return this.#pool;
  }

  setOwner(owner) {
    check(native.setOwner(this[TARGET], owner));
  }

  release() {
    this.#pool.release(this);
  }

  discard() {
    this.#pool.discard(this);
  }

  get isReleased() {
    return this.#number < 0;
  }

  get [TARGET]() {
    if (this.#number < 0) {
      throw new PhantomDBError('client: was released already', { code: 'INVALID_HANDLE' });
    }
    return this.#number;
  }
}

if (Symbol.dispose !== undefined) {
  Client.prototype[Symbol.dispose] = Client.prototype.release;
}
if (Symbol.asyncDispose !== undefined) {
  Client.prototype[Symbol.asyncDispose] = async function () {
    this.release();
  };
}

module.exports = { Client, create, takeFrom };
