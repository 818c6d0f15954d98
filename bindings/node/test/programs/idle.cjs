'use strict';
// Ends by itself, though its pool is open, has open connections and a log.
const { createPool } = require('../../lib/index.js');

const pool = createPool({ baseUrl: process.argv[2], minConnections: 3, log() {} });
pool.use((client) => client.healthCheck()).then(() => console.log('used'));
