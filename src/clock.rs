//! What time it is.
//!
//! An exact time costs more than all the rest of an acquire and a release. So where it need not be
//! exact, it is that of the system's last tick, where the system gives that away.
#![allow(unsafe_code)]

#[cfg(shuttle)]
pub use crate::model::time::now;
#[cfg(any(shuttle, not(target_os = "linux")))]
pub use inexact::{recent, tick};
#[cfg(not(any(shuttle, not(target_os = "linux"))))]
pub use ticks::{recent, tick};

/// The time that deadlines are compared with.
#[cfg(not(shuttle))]
pub fn now() -> std::time::Instant {
    std::time::Instant::now()
}

/// Where there is but one clock.
#[cfg(any(shuttle, not(target_os = "linux")))]
mod inexact {
    use std::time::Duration;

    pub use super::now as recent;

    pub fn tick() -> Duration {
        Duration::ZERO
    }
}

#[cfg(not(any(shuttle, not(target_os = "linux"))))]
mod ticks {
    use std::mem::MaybeUninit;
    use std::sync::OnceLock;
    use std::time::{Duration, Instant};

    /// What [`recent`] reckons with: a moment on both clocks, which run alike.
    struct Anchor {
        instant: Instant,
        /// In nanoseconds.
        reading: u64,
        tick: Duration,
    }

    static ANCHOR: OnceLock<Anchor> = OnceLock::new();

    /// The time of the system's last tick. Never later than [`super::now`].
    pub fn recent() -> Instant {
        let anchor = anchor();
        let passed = reading(libc::clock_gettime).saturating_sub(anchor.reading);
        anchor.instant + Duration::from_nanos(passed)
    }

    /// How far [`recent`] may be behind.
    pub fn tick() -> Duration {
        anchor().tick
    }

    fn anchor() -> &'static Anchor {
        ANCHOR.get_or_init(|| {
            // In this order, so that what is reckoned from them is not in the future.
            let (instant, reading) = (Instant::now(), reading(libc::clock_gettime));
            let tick = Duration::from_nanos(self::reading(libc::clock_getres));
            Anchor { instant, reading, tick }
        })
    }

    type Ask = unsafe extern "C" fn(libc::clockid_t, *mut libc::timespec) -> libc::c_int;

    fn reading(ask: Ask) -> u64 {
        let mut answer = MaybeUninit::<libc::timespec>::zeroed();
        // SAFETY: the pointer is to a timespec, which outlives the call.
        unsafe { ask(libc::CLOCK_MONOTONIC_COARSE, answer.as_mut_ptr()) };
        // SAFETY: all zeros is a valid timespec, and so is what the call made of it.
        let answer = unsafe { answer.assume_init() };
        answer.tv_sec as u64 * 1_000_000_000 + answer.tv_nsec as u64
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn the_recent_time_is_at_most_a_tick_behind() {
            for _ in 0..1000 {
                let before = Instant::now();
                let recent = recent();
                assert!(recent <= Instant::now());
                // The anchor itself may have been taken just before a tick.
                assert!(recent + tick() * 2 >= before, "{:?}", before - recent);
            }
        }
    }
}
