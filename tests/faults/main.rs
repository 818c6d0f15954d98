//! Real faults through real sockets: a proxy that delays, cuts, resets and goes silent, a server
//! that is killed and comes back, a process that runs out of file descriptors.
//!
//! Limits on time are generous: they show that the right time-out ended a wait, on any machine.

#[path = "../support/mod.rs"]
mod support;

mod common;
mod cutting;
mod descriptors;
mod dialing;
mod forgotten;
mod front;
mod interrupting;
mod leaving;
mod limit;
mod outage;
mod silence;
