//! What stands in for the operating system and the server under the model checker.
//!
//! `--cfg shuttle` replaces the locks, atomics, threads and clock below the pool, and the HTTP
//! and sockets below its connections, and nothing else: the pool, its dial limiter, and what
//! threads share of its connections are the shipped code. The scenarios are in `pool::model`.
//!
//! Shuttle runs every thread of a scenario as a coroutine of the one thread that called it, so
//! what a scenario shares with its fakes is kept in thread-locals of std, without locks.

pub mod locks;
pub mod server;
pub mod threads;
pub mod time;
