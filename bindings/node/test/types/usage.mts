// Compiled, never run: what the types must allow, and what they must not.
import phantomdb, {
  type Client,
  connect,
  createPool,
  PhantomDB,
  PhantomDBError,
  type Pool,
  version,
} from 'phantomdb';
import { createPool as alsoCreatePool } from 'phantomdb/pool';

function expectType<T>(_value: T): void {}

interface Order {
  id: number;
  paid: boolean;
}

export async function usage(signal: AbortSignal): Promise<void> {
  const pool: Pool = createPool({
    baseUrl: 'http://localhost:8080',
    minConnections: 1,
    validation: 'ping',
    log: (level, message) => {
      expectType<'info' | 'warning'>(level);
      expectType<string>(message);
    },
  });
  alsoCreatePool();
  phantomdb.createPool();
  expectType<string>(version);

  const client: Client = await pool.acquire({ signal, timeout: 100, owner: 'me' });
  expectType<string[]>(await client.listDatabases({ signal }));
  expectType<Order[]>(await client.select<Order>('shop', 'orders', 'paid = 0'));
  expectType<string>(await client.beginTransaction());
  await client.insert('shop', 'orders', { id: 1n, paid: true } satisfies object);
  await client.delete('shop', 'orders', '1=1', { signal });
  client.release();
  pool.release(client);

  expectType<number>(await pool.use((it) => it.listTables('shop').then((names) => names.length)));
  expectType<number>(await pool.use(() => 7));
  const found = await pool.query<Order>('shop', 'SELECT * FROM orders WHERE id = ?', [1]);
  expectType<boolean | undefined>(found.rows[0]?.paid);
  expectType<number | null>(found.affectedRows);
  const { available, used, pending, min, max } = pool.getStatus();
  expectType<number>(available + used + pending + min + max);
  expectType<number>(pool.getStats().acquires.direct);
  await pool.close({ timeout: 0 });

  try {
    await pool.healthCheck();
  } catch (error) {
    if (error instanceof PhantomDBError) expectType<number | undefined>(error.status);
  }

  const db: PhantomDB = connect({ baseUrl: 'http://localhost:8080', token: 'secret' });
  const result = await new PhantomDB('http://localhost:8080').executeQuery<Order>(
    'shop',
    'SELECT 1',
  );
  expectType<Order[]>(result.records);
  expectType<number | null>(result.affected_rows);
  expectType<string>(await db.beginTransaction());
  await db.commitTransaction();
  expectType<string>(db.baseUrl);
  expectType<number>(pool.minConnections + pool.maxConnections + pool.acquireTimeout);
  expectType<boolean>(pool.closed);
  await db.close();

  await using disposed = createPool();
  using held = await disposed.acquire();
  held.setOwner('me');

  // @ts-expect-error a delete has a condition
  await client.delete('shop', 'orders');
  // @ts-expect-error there is no such option
  createPool({ maxConnection: 5 });
  // @ts-expect-error there is no such validation
  createPool({ validation: 'maybe' });
  // @ts-expect-error a transaction belongs to a client
  await pool.beginTransaction();
  // @ts-expect-error one connection has no minimum
  connect({ minConnections: 5 });
  // @ts-expect-error clients are made by pools
  new phantomdb.Client();
  // @ts-expect-error a row is an object
  await pool.insert('shop', 'orders', 5);
}
