'use strict';

const path = require('node:path');

/** Where the addon is: built for this platform and shipped, or built here from source. */
const places = [
  path.join(__dirname, '..', 'prebuilds', `${process.platform}-${process.arch}`, 'phantomdb.node'),
  path.join(__dirname, '..', 'build', 'phantomdb.node'),
];

function load() {
  const missing = [];
  for (const place of places) {
    try {
      return require(place);
    } catch (error) {
      if (error.code !== 'MODULE_NOT_FOUND') throw error;
      missing.push(place);
    }
  }
  throw new Error(
    `phantomdb: this package has no addon for ${process.platform}-${process.arch} ` +
      `(looked for ${missing.join(' and ')}). Build it from source: npm run build`,
  );
}

module.exports = load();
