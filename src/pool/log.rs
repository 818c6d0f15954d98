//! Tells the program's log what happens to the pool.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::driver::Driver;
use super::machine::LogEvent;
use super::pooled_connection::PooledConnection;
use crate::client::one_line;
use crate::config::LogLevel;
use crate::os::threads;

impl Driver {
    pub(super) fn log(&self, events: Vec<LogEvent<Arc<PooledConnection>>>) {
        let Some(log) = &self.options().log else { return };
        for event in events {
            let (level, message) = worded(&event);
            // A callback that panics must not end the housekeeper.
            let _ =
                catch_unwind(AssertUnwindSafe(|| threads::call_back(|| log.log(level, &message))));
        }
    }
}

fn worded(event: &LogEvent<Arc<PooledConnection>>) -> (LogLevel, String) {
    match event {
        LogEvent::Leak { connection, age } => {
            let owner = match connection.owner() {
                Some(owner) => format!("by `{}`", one_line(&owner)),
                None => "(its owner is unknown: no owner tag was set)".to_owned(),
            };
            let message = format!(
                "A connection was acquired {:.1} s ago {owner} and not released; it may be leaked",
                age.as_secs_f64()
            );
            (LogLevel::Warning, message)
        }
        LogEvent::OutageBegan(cause) => {
            (LogLevel::Warning, format!("The server can't be reached: {}", cause.message()))
        }
        LogEvent::ServerDraining(true) => (
            LogLevel::Warning,
            "The server responds to GET /health with 503: it asks its clients to leave".to_owned(),
        ),
        LogEvent::ServerDraining(false) => {
            (LogLevel::Info, "The server no longer responds to GET /health with 503".to_owned())
        }
        LogEvent::OutageEnded { lasted } => (
            LogLevel::Info,
            format!("The server can be reached again after {:.1} s", lasted.as_secs_f64()),
        ),
    }
}
