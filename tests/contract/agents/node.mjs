// The agent for Node.js.

import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const binding = createRequire(import.meta.url)(process.argv[2]);
const { stringify } = createRequire(import.meta.url)(`${process.argv[2]}/lib/json.js`);

const NUMBER = /-?\d+(\.\d+)?([eE][+-]?\d+)?/y;
const STRING = /"(?:[^"\\]|\\.)*"/y;

/** The value of a scenario's JSON, which is trusted: as JSON.parse, but integers are exact. */
function parse(text) {
  let at = 0;
  const match = (pattern) => {
    pattern.lastIndex = at;
    const [found] = pattern.exec(text);
    at += found.length;
    return found;
  };
  const isNext = (character) => {
    while (/\s/.test(text[at] ?? '')) at++;
    if (text[at] !== character) return false;
    at++;
    return true;
  };
  const value = () => {
    if (isNext('[')) {
      const list = [];
      while (!isNext(']')) {
        list.push(value());
        isNext(',');
      }
      return list;
    }
    if (isNext('{')) {
      const members = [];
      while (!isNext('}')) {
        const name = value();
        isNext(':');
        members.push([name, value()]);
        isNext(',');
      }
      return Object.fromEntries(members);
    }
    if (text[at] === '"') return JSON.parse(match(STRING));
    if (/[a-z]/.test(text[at])) return JSON.parse(match(/[a-z]+/y));
    const number = match(NUMBER);
    const isInteger = /^-?\d+$/.test(number);
    return isInteger && !Number.isSafeInteger(Number(number)) ? BigInt(number) : Number(number);
  };
  return value();
}

/** What the driver has given names to; released clients keep theirs. */
const things = new Map();
/** What aborts the calls that are under way. */
const controllers = new Map();

const camelCase = (name) => name.replace(/_(.)/g, (_, initial) => initial.toUpperCase());

/** Arguments that are values for this binding, and come as JSON. */
const VALUES = new Set(['columns', 'row', 'data', 'parameters']);
const names = {
  create_table: ['database', 'name', 'columns'],
  insert: ['database', 'table', 'row'],
  update: ['database', 'table', 'data', 'condition'],
  execute_query: ['database', 'sql', 'parameters'],
};

function find(name = 'pool') {
  const thing = things.get(name);
  if (thing === undefined) throw new Error(`${name}: there is no such thing`);
  return thing;
}

function keep(command, client) {
  things.set(command.as, client);
  return null;
}

/** A query's rows in the order of their columns, as the other languages have them. */
function readQuery({ columns, rows, rowCount, affectedRows }) {
  const ordered = rows.map((row) => columns.map((name) => row[name]));
  return { columns, rows: ordered, rowCount, affectedRows };
}

async function run({ on, operation, arguments: given }, options) {
  const values = given.map((value, index) => {
    if (value === null) return undefined;
    return VALUES.has(names[operation]?.[index]) ? parse(value) : value;
  });
  const thing = find(on);
  const method = thing[camelCase(operation)];
  // As many as it takes, that the options come last.
  while (values.length < method.length - 1) values.push(undefined);
  const result = await method.call(thing, ...values, options);
  if (operation === 'execute_query') return readQuery(result);
  if (operation === 'begin_transaction') return { transaction_id: result };
  return result;
}

const commands = {
  create({ as, options: given }) {
    const log = [];
    const options = Object.entries(given).map(([name, value]) => [camelCase(name), value]);
    const chosen = Object.fromEntries(options);
    if (chosen.log) chosen.log = (level, message) => log.push([level, message]);
    things.set(as, Object.assign(binding.createPool(chosen), { messages: log }));
    return null;
  },
  async acquire(command, { signal }) {
    const { timeout, owner } = command;
    return keep(command, await find(command.on).acquire({ timeout, owner, signal }));
  },
  try_acquire: (command) => keep(command, find(command.on).tryAcquire()),
  release: ({ on, from }) => release(find(on), from, 'release'),
  discard: ({ on, from }) => release(find(on), from, 'discard'),
  run,
  request({ on, method, path, body }, options) {
    return find(on).request(method, path, body === undefined ? undefined : parse(body), options);
  },
  cancel: ({ call }) => controllers.get(call)?.abort() ?? null,
  status: ({ on }) => find(on).getStatus(),
  stats: ({ on }) => find(on).getStats(),
  metrics: ({ on }) => find(on).getMetrics(),
  log: ({ on }) => find(on).messages,
  reset: ({ on }) => find(on).reset(),
  resize: ({ on, min, max }) => find(on).resize(min, max),
  set_token: ({ on, token }) => find(on).setToken(token),
  close: ({ on, timeout }) => find(on).close({ timeout }),
  async end() {
    const pools = [...things.values()].filter((thing) => thing instanceof binding.Pool);
    things.clear();
    controllers.clear();
    await Promise.all(pools.map((pool) => pool.close({ timeout: 0 })));
  },
};

function release(client, from, how) {
  (from === undefined ? client.pool : find(from))[how](client);
}

function describe(error) {
  if (!(error instanceof binding.PhantomDBError)) throw error;
  const { code, status = 0, retriable, retryAfter = 0, message } = error;
  return { code, status, retriable, retry_after: retryAfter, message };
}

async function carryOut(command) {
  const controller = new AbortController();
  controllers.set(command.id, controller);
  let report;
  try {
    const value = await commands[command.do](command, { signal: controller.signal });
    report = `"ok":${stringify(value) ?? 'null'}`;
  } catch (error) {
    report = `"error":${JSON.stringify(describe(error))}`;
  } finally {
    controllers.delete(command.id);
  }
  process.stdout.write(`{"id":${command.id},${report}}\n`);
}

createInterface(process.stdin).on('line', (line) => carryOut(JSON.parse(line)));
