'use strict';

const native = require('./native.js');

module.exports = {
  ...require('./pool.js'),
  ...require('./phantomdb.js'),
  version: native.version,
};
