'use strict';

// The addon: built for this platform and shipped, or built here from source. Both are required by their
// literal names, because bundlers see nothing else.

const PLATFORM = `${process.platform}-${process.arch}`;

function load() {
  if (PLATFORM === 'linux-x64') {
    try {
      return require('../prebuilds/linux-x64/phantomdb.node');
    } catch (error) {
      if (error.code !== 'MODULE_NOT_FOUND') throw error;
    }
  }
  try {
    return require('../build/phantomdb.node');
  } catch (error) {
    if (error.code !== 'MODULE_NOT_FOUND') throw error;
  }
  return undefined;
}

/** Whether this file is still a file of the package; a bundler makes it a part of another. */
function isInPackage() {
  return typeof __filename === 'string' && /[\\/]lib[\\/]native\.js$/.test(__filename);
}

const BUNDLED =
  'phantomdb: its addon, phantomdb.node, was not found beside this bundle. Tell the bundler that the package is ' +
  "external (webpack: externals, esbuild: --external:phantomdb, Next.js: serverExternalPackages), or to copy '.node' " +
  'files; the README of phantomdb says how, under "Bundlers"';

const MISSING =
  `phantomdb: this package has no addon for ${PLATFORM}. If it was installed on another machine, install it on ` +
  'this one; else build it from source: npm run build, in its folder';

function open() {
  const addon = load();
  // A loader that gives the name of a file instead of what is in it can't be followed either.
  if (typeof addon?.open === 'function') return addon.open();
  throw new Error(isInPackage() ? MISSING : BUNDLED);
}

// What is asked of it is this copy's of the package alone: Jest, a cleared require.cache or another vm
// context evaluate these files again, over the one addon that is loaded.
module.exports = open();
