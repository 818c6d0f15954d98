//! What callers are told who get no connection.

use std::time::{Duration, Instant};

use super::slot::SlotState;
use super::{Machine, SlotConnection};
use crate::error::{Code, Error};

impl<C: SlotConnection, W> Machine<C, W> {
    /// The error of a caller whose deadline passed while it waited.
    pub fn timeout_error(&mut self, waited: Duration, now: Instant) -> Error {
        let status = self.status();
        Error::new(
            Code::Timeout,
            format!(
                "Timeout acquiring connection after {:.1} s: {} of {} connections in use, \
                 {} waiting{}",
                waited.as_secs_f64(),
                status.used,
                status.max,
                status.pending,
                self.what_is_going_on(now)
            ),
        )
    }

    pub(super) fn would_block(&mut self, now: Instant) -> Error {
        let status = self.status();
        Error::new(
            Code::WouldBlock,
            format!(
                "No connection is free: {} of {} connections in use, {} waiting{}",
                status.used,
                status.max,
                status.pending,
                self.what_is_going_on(now)
            ),
        )
    }

    pub(super) fn overloaded(&mut self) -> Error {
        let status = self.status();
        Error::new(
            Code::Overloaded,
            format!(
                "Too many callers wait for a connection: {} of at most {} (max_waiters); \
                 {} of {} connections in use",
                status.pending, self.options.max_waiters, status.used, status.max
            ),
        )
    }

    /// What the slots are busy with that nobody uses, and why dials failed; empty if there is nothing
    /// to tell.
    pub(super) fn what_is_going_on(&self, now: Instant) -> String {
        let mut text = String::new();
        let dials = self.dials_under_way();
        if dials > 0 {
            let since = self.slots.iter().filter_map(|slot| slot.dialing_since).min();
            let lasted = since.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
            let what = format!("opened to {}", self.options.base_url);
            text.push_str(&counted(dials, &what));
            let first = if dials == 1 { "" } else { "the first " };
            text.push_str(&format!(" ({first}for {:.1} s so far)", lasted.as_secs_f64()));
        }
        let checked = self.count(SlotState::Validating) + self.count(SlotState::Suspect);
        for (count, what) in [
            (checked, "checked"),
            (self.count(SlotState::Cleaning), "rolled back"),
            (self.count(SlotState::Closing), "closed"),
        ] {
            if count > 0 {
                text.push_str(&counted(count, what));
            }
        }
        if let Some(outage) = &self.outage {
            text.push_str("; last error: ");
            text.push_str(outage.cause().message());
        }
        text
    }
}

fn counted(count: usize, what: &str) -> String {
    match count {
        1 => format!("; 1 connection is being {what}"),
        _ => format!("; {count} connections are being {what}"),
    }
}
