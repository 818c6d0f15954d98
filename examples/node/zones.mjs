// Loads the time zones of the world into PhantomDB, several rows at a time over one pool of
// connections, and asks about them.
//
//     npm install phantomdb
//     node zones.mjs http://localhost:8080 ../data

import { readFile } from 'node:fs/promises';
import path from 'node:path';
import process from 'node:process';
import { createPool, PhantomDBError } from 'phantomdb/pool';

const DATABASE = 'zones';
const AT_A_TIME = 4;

const TABLES = {
  countries: [
    { name: 'code', type: 'string', primaryKey: true },
    { name: 'name', type: 'string' },
  ],
  zones: [
    { name: 'name', type: 'string', primaryKey: true },
    { name: 'latitude', type: 'float' },
    { name: 'longitude', type: 'float' },
  ],
  places: [
    { name: 'country', type: 'string' },
    { name: 'zone', type: 'string' },
  ],
};

/** One angle of ISO 6709, [+-]DDMM or [+-]DDMMSS with two or three digits of degrees, in degrees. */
function degrees(sign, digits, degreeDigits) {
  const degree = Number(digits.slice(0, degreeDigits));
  const minutes = Number(digits.slice(degreeDigits, degreeDigits + 2));
  const seconds = Number(digits.slice(degreeDigits + 2));
  const angle = degree + minutes / 60 + seconds / 3600;
  return Number((sign === '-' ? -angle : angle).toFixed(4));
}

/** The fields of each line that is not a comment. */
async function readTable(folder, name, leastFields) {
  const file = path.join(folder, name);
  const lines = (await readFile(file, 'utf8')).split('\n');
  const rows = [];
  for (const [index, line] of lines.entries()) {
    if (line === '' || line.startsWith('#')) continue;
    const fields = line.split('\t');
    if (fields.length < leastFields) throw new Error(`${file}:${index + 1}: can't be read`);
    rows.push(fields);
  }
  return rows;
}

async function readRows(folder) {
  const rows = [];
  for (const [code, name] of await readTable(folder, 'iso3166.tab', 2)) {
    rows.push(['countries', { code, name }]);
  }
  for (const [codes, place, zone] of await readTable(folder, 'zone1970.tab', 3)) {
    const [, north, latitude, east, longitude] = place.match(/([+-])(\d+)([+-])(\d+)/);
    rows.push([
      'zones',
      { name: zone, latitude: degrees(north, latitude, 2), longitude: degrees(east, longitude, 3) },
    ]);
    // A zone may cover several countries: "AE,OM,RE".
    for (const country of codes.split(',')) rows.push(['places', { country, zone }]);
  }
  return rows;
}

async function makeTables(client) {
  try {
    // What an earlier run left; on a server that never saw one there is nothing to drop.
    await client.dropDatabase(DATABASE);
  } catch (error) {
    if (error.status !== 404) throw error;
  }
  await client.createDatabase(DATABASE);
  for (const [name, columns] of Object.entries(TABLES)) {
    await client.createTable(DATABASE, name, columns);
  }
}

async function load(pool, rows) {
  let loaded = 0;
  const next = rows[Symbol.iterator]();
  const showProgress = () => {
    loaded++;
    if (loaded % 50 === 0 && process.stderr.isTTY) {
      process.stderr.write(`\rLoading row ${loaded} of ${rows.length} `);
    }
  };
  const loadSome = () =>
    pool.use(async (client) => {
      for (const [table, row] of next) {
        await client.insert(DATABASE, table, row);
        showProgress();
      }
    });
  await Promise.all(Array.from({ length: AT_A_TIME }, loadSome));
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
}

async function count(client, table) {
  const { rows } = await client.executeQuery(DATABASE, `SELECT count(*) AS n FROM ${table}`);
  return rows[0].n;
}

async function showCounts(client) {
  const [countries, zones] = [await count(client, 'countries'), await count(client, 'zones')];
  console.log(
    `Loaded ${countries} countries and ${zones} time zones, ${AT_A_TIME} rows at a time.\n`,
  );
}

async function showCountries(client) {
  const { rows } = await client.executeQuery(
    DATABASE,
    'SELECT count(*) AS zones, countries.name FROM places JOIN countries ON code = country ' +
      'GROUP BY code ORDER BY zones DESC, countries.name LIMIT ?',
    [10],
  );
  console.log('zones  country\n-----  -------');
  for (const { zones, name } of rows) console.log(`${String(zones).padStart(5)}  ${name}`);
}

async function showSouthernmost(client) {
  const condition = 'latitude = (SELECT min(latitude) FROM zones)';
  const [{ name, latitude }] = await client.select(DATABASE, 'zones', condition);
  console.log(`\nSouthernmost: ${name}, ${(-latitude).toFixed(2)} degrees south.`);
}

async function showRollback(client) {
  const before = await count(client, 'zones');
  await client.beginTransaction(DATABASE);
  const atlantis = { name: 'Atlantis/Poseidonis', latitude: 31, longitude: -24 };
  await client.insert(DATABASE, 'zones', atlantis);
  const within = await count(client, 'zones');
  await client.rollbackTransaction();
  const after = await count(client, 'zones');
  console.log(
    `With Atlantis there are ${within} time zones; rolled back there are ${after}, ` +
      `${before === after ? 'unchanged' : 'CHANGED'}.`,
  );
}

function showStatus(pool) {
  const { available, used, pending, min, max } = pool.getStatus();
  console.log(
    `\nPool: ${available} available, ${used} used, ${pending} pending; ` +
      `${available + used} in all, at least ${min}, at most ${max}.`,
  );
}

async function main(baseUrl, folder) {
  const rows = await readRows(folder);
  // One for each row that is on its way, and one for the questions.
  const connections = AT_A_TIME + 1;
  const pool = createPool({ baseUrl, minConnections: connections, maxConnections: connections });
  try {
    await pool.use(async (client) => {
      await makeTables(client);
      await load(pool, rows);
      await showCounts(client);
      await showCountries(client);
      await showSouthernmost(client);
      await showRollback(client);
    });
    showStatus(pool);
  } finally {
    await pool.close();
  }
}

if (process.argv.length !== 4) {
  console.error('usage: node zones.mjs BASE_URL DATA_DIR');
  process.exit(2);
}
try {
  await main(...process.argv.slice(2));
} catch (error) {
  if (!(error instanceof PhantomDBError) && error.code !== 'ENOENT') throw error;
  console.error(`zones: ${error.message}`);
  process.exit(1);
}
