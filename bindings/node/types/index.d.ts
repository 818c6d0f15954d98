export * from './pool.js';

/** The version of the library behind this package. */
export const version: string;
