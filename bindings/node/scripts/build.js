'use strict';

// build.js: compiles the addon against the libphantomdb that is installed (by pkg-config), into
// build/.
//
// build.js --bundled LIB_DIR INCLUDE_DIR: puts the static library of LIB_DIR into it, for the
// package that needs neither compiler nor library, into prebuilds/.

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const root = path.join(__dirname, '..');

/** Where node_api.h is: in a package for development, or beside Node.js itself. */
function nodeHeaders() {
  try {
    return require('node-api-headers').include_dir;
  } catch {
    const beside = path.join(path.dirname(process.execPath), '..', 'include', 'node');
    if (fs.existsSync(path.join(beside, 'node_api.h'))) return beside;
    throw new Error('node_api.h was not found. Type: npm install --no-save node-api-headers');
  }
}

function words(text) {
  return text.trim().split(/\s+/).filter(Boolean);
}

function installed() {
  try {
    return {
      compile: words(execFileSync('pkg-config', ['--cflags', 'phantomdb'], { encoding: 'utf8' })),
      link: words(execFileSync('pkg-config', ['--libs', 'phantomdb'], { encoding: 'utf8' })),
      output: path.join(root, 'build'),
    };
  } catch {
    throw new Error(
      'libphantomdb was not found: install it (`make install` in its source tree), and set PKG_CONFIG_PATH if it is not where pkg-config looks',
    );
  }
}

function bundled(libraries, headers) {
  const others = fs.readFileSync(path.join(libraries, 'static-libs'), 'utf8');
  return {
    compile: [`-I${headers}`],
    // None of the library's symbols is the business of others in the process.
    link: [
      path.join(libraries, 'libphantomdb.a'),
      ...words(others),
      '-Wl,--exclude-libs,ALL',
      '-s',
    ],
    output: path.join(root, 'prebuilds', `${process.platform}-${process.arch}`),
  };
}

function build([kind, libraries, headers]) {
  const { compile, link, output } =
    kind === '--bundled' ? bundled(libraries, headers) : installed();
  const sources = fs
    .readdirSync(path.join(root, 'native'))
    .filter((name) => name.endsWith('.c'))
    .map((name) => path.join(root, 'native', name));
  fs.mkdirSync(output, { recursive: true });
  const addon = path.join(output, 'phantomdb.node');
  const warnings = ['-Wall', '-Wextra', '-Wpedantic', '-Werror'];
  // Threads of the library may outlive the last environment that loaded it, hence nodelete.
  const options = ['-std=c11', '-D_GNU_SOURCE', '-O2', '-fPIC', '-fvisibility=hidden', '-shared'];
  execFileSync(
    process.env.CC ?? 'cc',
    [
      ...options,
      ...warnings,
      '-isystem',
      nodeHeaders(),
      ...compile,
      ...sources,
      '-o',
      `${addon}.new`,
      '-Wl,-z,nodelete',
      '-pthread',
      ...link,
    ],
    { stdio: 'inherit' },
  );
  fs.renameSync(`${addon}.new`, addon);
  console.log(addon);
}

try {
  build(process.argv.slice(2));
} catch (error) {
  console.error(`build: ${error.message}`);
  process.exit(1);
}
