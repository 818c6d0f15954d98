import phantomdb = require('phantomdb');
import pool = require('phantomdb/pool');

export const made: phantomdb.Pool = phantomdb.createPool({ maxConnections: 5 });
export const same: pool.Pool = pool.createPool();
export const named: pool.PhantomDBConnectionPool = new pool.PhantomDBConnectionPool();
export const status: pool.PoolStatus = made.getStatus();
export const db: phantomdb.PhantomDB = phantomdb.connect('http://localhost:8080');
