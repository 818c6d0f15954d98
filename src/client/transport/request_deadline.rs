//! A deadline that knows its name.

use std::fmt;
use std::time::{Duration, Instant};

use crate::os::clock;

const CALLER: &str = "the caller's deadline";

/// Until when a step may last, and whose limit that is, for the message when it passes.
#[derive(Clone, Copy, Debug)]
pub(in crate::client) struct RequestDeadline {
    pub(in crate::client) until: Instant,
    started: Instant,
    name: &'static str,
}

impl RequestDeadline {
    /// The caller's own deadline.
    pub(in crate::client) fn caller(until: Instant) -> RequestDeadline {
        RequestDeadline { until, started: clock::now(), name: CALLER }
    }

    /// The stricter of the caller's own deadline and a limit that begins now.
    pub(in crate::client) fn request(
        until: Instant,
        limit: Duration,
        name: &'static str,
    ) -> RequestDeadline {
        let started = clock::now();
        match started.checked_add(limit) {
            Some(end) if end < until => RequestDeadline { until: end, started, name },
            _ => RequestDeadline { until, started, name: CALLER },
        }
    }

    /// The stricter of this deadline and one that begins now.
    pub(in crate::client) fn at_most(self, limit: Duration, name: &'static str) -> RequestDeadline {
        let started = clock::now();
        match started.checked_add(limit) {
            Some(until) if until < self.until => RequestDeadline { until, started, name },
            _ => self,
        }
    }

    /// When it began.
    pub(in crate::client) fn started(&self) -> Instant {
        self.started
    }

    pub(in crate::client) fn left(&self) -> Duration {
        self.until.saturating_duration_since(clock::now())
    }
}

/// `after 5.0 s (request_timeout)`.
impl fmt::Display for RequestDeadline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lasted = self.until.saturating_duration_since(self.started);
        if lasted >= Duration::from_secs(1) {
            write!(f, "after {:.1} s ({})", lasted.as_secs_f64(), self.name)
        } else {
            write!(f, "after {} ms ({})", lasted.as_millis(), self.name)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stricter_limit_is_named() {
        let caller = RequestDeadline::caller(Instant::now() + Duration::from_secs(60));
        let request = caller.at_most(Duration::from_secs(30), "request_timeout");
        assert_eq!(request.to_string(), "after 30.0 s (request_timeout)");
        let same = request.at_most(Duration::from_secs(40), "connect_timeout");
        assert_eq!(same.to_string(), "after 30.0 s (request_timeout)");
        let dial = request.at_most(Duration::from_millis(250), "connect_timeout");
        assert_eq!(dial.to_string(), "after 250 ms (connect_timeout)");
        let past = RequestDeadline::caller(Instant::now() - Duration::from_secs(1));
        assert_eq!(past.to_string(), "after 0 ms (the caller's deadline)");
        assert_eq!(past.left(), Duration::ZERO);
    }
}
