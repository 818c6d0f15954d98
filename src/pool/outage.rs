//! What the pool knows of a server that can't be reached, and when it tries again.

use std::time::{Duration, Instant};

use crate::error::{Code, Error};

const FIRST_DELAY: Duration = Duration::from_millis(50);
const LONGEST_DELAY: Duration = Duration::from_secs(5);

/// A run of failed dials with no response on a new connection in between.
#[derive(Debug)]
pub struct Outage {
    cause: Error,
    began_at: Instant,
    failures: u32,
    retry_at: Instant,
}

impl Outage {
    /// The outage after one more failed dial. `chance` is uniform in 0 to 1: full jitter, so
    /// that many pools of many processes don't come back in step.
    pub fn after(previous: Option<Outage>, cause: &Error, now: Instant, chance: f64) -> Outage {
        let (failures, began_at) =
            previous.map_or((0, now), |outage| (outage.failures, outage.began_at));
        let failures = failures.saturating_add(1);
        let ceiling = FIRST_DELAY
            .saturating_mul(1u32.checked_shl(failures - 1).unwrap_or(u32::MAX))
            .min(LONGEST_DELAY)
            // A wait is never longer than the outage has lasted.
            .min(now.saturating_duration_since(began_at).max(FIRST_DELAY));
        Outage { cause: cause.clone(), failures, began_at, retry_at: now + ceiling.mul_f64(chance) }
    }

    /// How long ago the first dial failed.
    pub fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.began_at)
    }

    /// When the first dial failed.
    pub fn began_at(&self) -> Instant {
        self.began_at
    }

    pub fn cause(&self) -> &Error {
        &self.cause
    }

    pub fn retry_at(&self) -> Instant {
        self.retry_at
    }

    /// The next try is due.
    pub fn retry_at_once(&mut self, now: Instant) {
        self.retry_at = self.retry_at.min(now);
    }

    /// What a caller is told meanwhile. A wrong token or wrong TLS settings keep their own
    /// code: waiting doesn't mend them.
    pub fn error(&self, now: Instant) -> Error {
        let wait = self.retry_at.saturating_duration_since(now);
        let message = format!(
            "No connection available: {} (tried {} {}, next try in {:.1} s)",
            self.cause.message(),
            self.failures,
            if self.failures == 1 { "time" } else { "times in a row" },
            wait.as_secs_f64()
        );
        match self.cause.code() {
            code @ (Code::Tls | Code::Unauthorized) => Error::new(code, message),
            _ => Error::new(Code::Unavailable, message),
        }
        .with_retry_after(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_10_the_delay_doubles_from_50_ms_to_5_s() {
        let mut now = Instant::now();
        let mut outage = None;
        let mut delays = Vec::new();
        for _ in 0..40 {
            let next = Outage::after(outage, &Error::new(Code::Unavailable, "refused"), now, 1.0);
            delays.push((next.retry_at - now).as_millis());
            now = next.retry_at;
            outage = Some(next);
        }
        // Each is at most as long as the outage so far.
        assert_eq!(delays[..9], [50, 50, 100, 200, 400, 800, 1600, 3200, 5000]);
        assert!(delays[9..].iter().all(|delay| *delay == 5000));
    }

    #[test]
    fn rule_10_the_caller_learns_the_cause_and_when_to_retry() {
        let now = Instant::now();
        let outage = Outage::after(None, &Error::new(Code::Timeout, "no response"), now, 1.0);
        let error = outage.error(now);
        assert_eq!(error.code(), Code::Unavailable);
        assert_eq!(error.retry_after(), Some(FIRST_DELAY));
        assert!(error.message().contains("no response"));
        let outage = Outage::after(None, &Error::new(Code::Tls, "expired"), now, 1.0);
        assert_eq!(outage.error(now).code(), Code::Tls);
    }
}
