import phantomdb from './index.js';

export const {
  Client,
  PhantomDB,
  PhantomDBConnectionPool,
  PhantomDBError,
  Pool,
  connect,
  createPool,
  version,
} = phantomdb;
export default phantomdb;
