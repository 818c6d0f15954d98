// For Jest: module registries make copies of the package's JavaScript over one loaded addon.
const phantomdb = require('phantomdb');
const url = process.env.PHANTOMDB_TEST_URL;

beforeAll(async () => {
  const pool = phantomdb.createPool({ baseUrl: url });
  await pool.createDatabase('jest').catch((error) => expect(error.status).toBe(409));
  await pool.close();
});

beforeEach(() => jest.resetModules());

test('rows are plain objects of this realm', async () => {
  const pool = require('phantomdb').createPool({ baseUrl: url });
  const { rows } = await pool.query('jest', 'SELECT 1 AS n, ? AS s', ['text']);
  expect(rows).toStrictEqual([{ n: 1, s: 'text' }]);
  expect(await pool.healthCheck()).toMatchObject({ status: 'healthy' });
  await pool.close();
});

test('each copy hears of its own calls', async () => {
  const copies = [phantomdb, require('phantomdb')];
  jest.isolateModules(() => copies.push(require('phantomdb')));
  jest.resetModules();
  copies.push(require('phantomdb'));
  expect(new Set(copies.map((it) => it.createPool)).size).toBe(4);
  const pools = copies.map(({ createPool }) => createPool({ baseUrl: url, maxConnections: 2 }));
  const numbers = Array.from({ length: 200 }, (_, n) => n);
  const found = await Promise.all(
    numbers.map(async (n) => (await pools[n % 4].query('jest', 'SELECT ? AS n', [n])).rows[0].n),
  );
  expect(found).toStrictEqual(numbers);
  await Promise.all(pools.map((pool) => pool.close()));
});

test('what fails is told to the copy that asked', async () => {
  const { PhantomDBError, createPool } = require('phantomdb');
  const pool = createPool({ baseUrl: url });
  await expect(pool.listTables('no such database')).rejects.toThrow(PhantomDBError);
  await pool.close();
});
