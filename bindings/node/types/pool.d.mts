export * from './pool.js';

import pool = require('./pool.js');
export default pool;
