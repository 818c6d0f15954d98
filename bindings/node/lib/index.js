'use strict';

const native = require('./native.js');

module.exports = { ...require('./pool.js'), version: native.version };
