import phantomdb from './index.js';

export const { Client, PhantomDBError, Pool, createPool, version } = phantomdb;
export default phantomdb;
