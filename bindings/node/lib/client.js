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

/** Makes a client of a pool. */
let create;
/** Takes the connection away from a client; gives its number. */
let takeFrom;

class Client extends Session {
  #pool;
  #number;

  static {
    create = (pool, number, owner) => new Client(pool, number, owner, create);
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
      lost.unregister(client);
      return number;
    };
  }

  constructor(pool, number, owner, key) {
    if (key !== create) throw new TypeError('Clients are made by pool.acquire and pool.use');
    super();
    this.#pool = pool;
    this.#number = number;
    lost.register(this, { client: number, owner }, this);
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
