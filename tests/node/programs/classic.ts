// Compiled, never run.
import { connect } from 'phantomdb';
import { createPool, type Pool } from 'phantomdb/pool';

const pool: Pool = createPool({ maxConnections: 3 });
export const most: number = pool.maxConnections;
export const databases: Promise<string[]> = connect('http://localhost:8080').listDatabases();
// @ts-expect-error there is no such option
createPool({ maxConnection: 3 });
