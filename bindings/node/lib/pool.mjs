import pool from './pool.js';

export const { Client, PhantomDBConnectionPool, PhantomDBError, Pool, createPool } = pool;
export default pool;
