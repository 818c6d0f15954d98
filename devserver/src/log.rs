//! Lines for the person who runs the server, on standard error.

use std::fmt::Display;
use std::io::Write;

/// Writes one line to standard error.
///
/// Not `eprintln!`: that panics once nobody reads standard error any more.
pub fn line(message: impl Display) {
    let _ = writeln!(std::io::stderr(), "phantomdb-devserver: {message}");
}
