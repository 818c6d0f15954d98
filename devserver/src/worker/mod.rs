//! Workers: processes of their own in which statements run, one at a time each.
//!
//! SQLite can stop a statement between two steps of its machine, not within one, and one step can
//! take minutes (`instr` on two large values) or all memory. A process can be ended whatever it does;
//! SQLite's files are made for that, and its locks end with it. What the server itself holds, its
//! connections and its turns to write, then never waits for a statement.
//!
//! A worker talks to the server through one socket. A message is the length of its head, the length
//! of its body, the head as JSON, and the body. While a worker is busy it can be told to stop; before
//! it commits it says so, because from there on nobody knows what ending it would mean.

mod handle;
mod serve;

pub use handle::{Lost, Outcome, Reason, Spawner, Stop, Worker};
pub use serve::main;

use crate::engine::Done;
use crate::error::Error;
use serde::{Deserialize, Serialize};

/// The argument that makes a worker of this program; then come the bytes that a file may have and
/// the bytes that the process may map.
pub const ARGUMENT: &str = "--worker";

/// In place of the length of a head: to a worker, stop what runs; from one, it begins to commit.
const SIGNAL: u32 = u32::MAX;

const LENGTHS: usize = 12;

/// The head of what a worker says when it is done.
#[derive(Debug, Serialize, Deserialize)]
struct Report {
    result: Result<Done, Error>,
    autocommit: bool,
}

fn lengths(head: u32, body: u64) -> [u8; LENGTHS] {
    let mut bytes = [0; LENGTHS];
    bytes[..4].copy_from_slice(&head.to_le_bytes());
    bytes[4..].copy_from_slice(&body.to_le_bytes());
    bytes
}

fn read_lengths(bytes: [u8; LENGTHS]) -> (u32, u64) {
    let (head, body) = bytes.split_at(4);
    let number = |bytes: &[u8]| {
        bytes.iter().rev().fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
    };
    (number(head) as u32, number(body))
}
