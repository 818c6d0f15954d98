const { createPool } = require('phantomdb/pool');

const pool = createPool({ baseUrl: process.argv[2] });
pool
  .healthCheck()
  .then(({ status }) => console.log(status))
  .then(() => pool.close());
