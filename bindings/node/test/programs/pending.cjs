'use strict';
// Stays until its one call is over: an acquire that times out, and only the library knows when.
const { createPool } = require('../../lib/index.js');

const pool = createPool({ minConnections: 1, maxConnections: 1, validation: 'none' });
pool.acquire();
pool.acquire({ timeout: 300 }).catch((error) => console.log(error.code));
