import pool from './pool.js';

export const { Client, PhantomDBError, Pool, createPool } = pool;
export default pool;
