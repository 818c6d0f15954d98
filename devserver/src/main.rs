//! A PhantomDB-compatible HTTP server on SQLite, for development and tests.

use std::process::ExitCode;

fn main() -> ExitCode {
    phantomdb_devserver::main()
}
