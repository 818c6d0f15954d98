export * from './index.js';

import phantomdb = require('./index.js');
export default phantomdb;
