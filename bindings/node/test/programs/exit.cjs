'use strict';
// Exits in the middle of requests, at a moment that its argument decides.
const { createPool } = require('../../lib/index.js');

const [, , url, moment] = process.argv;
const pool = createPool({ baseUrl: url, maxConnections: 4 });
let left = Number(moment);
const one = async () => {
  for (;;) {
    await pool.use((client) => client.healthCheck());
    if (left-- === 0) process.exit(0);
  }
};
for (let i = 0; i < 16; i++) one();
