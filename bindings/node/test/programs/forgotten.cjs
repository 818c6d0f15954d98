'use strict';
// Clients without a pool that nobody closes: their connections go when they are collected as garbage.
const fs = require('node:fs');
const { PhantomDB } = require('../../lib/index.js');

const { gc } = globalThis;
const sockets = () => fs.readdirSync('/proc/self/fd').length;

async function main(url) {
  const before = sockets();
  for (let i = 0; i < 20; i++) await new PhantomDB(url).healthCheck();
  while (sockets() > before + 8) {
    gc();
    await new Promise((resolve) => setImmediate(resolve));
  }
  // A request holds on to its client.
  const all = Array.from({ length: 10 }, () => new PhantomDB(url).healthCheck());
  gc();
  await Promise.all(all);
  console.log('done');
}

main(process.argv[2]);
