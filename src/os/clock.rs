//! What time it is.
//!
//! An exact time costs more than all the rest of an acquire and a release. So where it need not be
//! exact, it is that of the system's last tick, where the system gives that away.
#![allow(unsafe_code)]

#[cfg(shuttle)]
pub use crate::model::time::now;
#[cfg(any(shuttle, not(target_os = "linux")))]
pub use inexact::{recent, recent_moment, tick};
#[cfg(not(any(shuttle, not(target_os = "linux"))))]
pub use ticks::{recent, recent_moment, tick};

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// A time as one number, for memory that threads share without a lock: nanoseconds, counted from a
/// time long before this process.
pub type Moment = u64;

/// What is at no time: before all others, or after them.
pub const NEVER: Moment = 0;
pub const ALWAYS: Moment = Moment::MAX;

/// The moment of [`origin`]. Earlier times are smaller numbers.
const ORIGIN: Moment = 1 << 62;

fn origin() -> Instant {
    static AT: OnceLock<Instant> = OnceLock::new();
    *AT.get_or_init(Instant::now)
}

/// A time as a number.
pub fn moment(at: Instant) -> Moment {
    let origin = origin();
    match at.checked_duration_since(origin) {
        Some(after) => ORIGIN + after.as_nanos() as u64,
        None => ORIGIN - origin.duration_since(at).as_nanos() as u64,
    }
}

/// The time that [`moment`] made a number of.
pub fn instant(moment: Moment) -> Instant {
    match moment.checked_sub(ORIGIN) {
        Some(after) => origin() + Duration::from_nanos(after),
        None => origin() - Duration::from_nanos(ORIGIN - moment),
    }
}

/// The time that deadlines are compared with.
#[cfg(not(shuttle))]
pub fn now() -> std::time::Instant {
    std::time::Instant::now()
}

/// How long this computer has slept in all, since it started: for so long the clock of [`now`]
/// stood still.
#[cfg(all(not(shuttle), target_os = "linux"))]
pub fn slept() -> std::time::Duration {
    // In this order, so that what passes between the two readings is not taken for sleep.
    let since_start = ticks::reading(libc::clock_gettime, libc::CLOCK_BOOTTIME);
    let awake = ticks::reading(libc::clock_gettime, libc::CLOCK_MONOTONIC);
    std::time::Duration::from_nanos(since_start.saturating_sub(awake))
}

/// Where there is no clock that tells.
#[cfg(any(shuttle, not(target_os = "linux")))]
pub fn slept() -> std::time::Duration {
    std::time::Duration::ZERO
}

/// Where there is but one clock.
#[cfg(any(shuttle, not(target_os = "linux")))]
mod inexact {
    use std::time::Duration;

    pub use super::now as recent;

    pub fn recent_moment() -> super::Moment {
        super::moment(recent())
    }

    pub fn tick() -> Duration {
        Duration::ZERO
    }
}

#[cfg(not(any(shuttle, not(target_os = "linux"))))]
mod ticks {
    use std::mem::MaybeUninit;
    use std::sync::OnceLock;
    use std::time::{Duration, Instant};

    use super::Moment;

    /// What [`recent`] reckons with: a moment as an `Instant` and as the system's clock shows it,
    /// which at its last tick showed the same as its coarse one.
    struct Anchor {
        instant: Instant,
        /// The same as a number.
        moment: Moment,
        /// In nanoseconds.
        reading: u64,
        tick: Duration,
    }

    static ANCHOR: OnceLock<Anchor> = OnceLock::new();

    /// The time of the system's last tick. Never later than [`super::now`].
    pub fn recent() -> Instant {
        ANCHOR.get_or_init(Anchor::new).recent()
    }

    /// [`recent`] as a number, for less than that costs.
    pub fn recent_moment() -> Moment {
        let anchor = ANCHOR.get_or_init(Anchor::new);
        let ticked = reading(libc::clock_gettime, libc::CLOCK_MONOTONIC_COARSE);
        anchor.moment + ticked.saturating_sub(anchor.reading)
    }

    /// How far [`recent`] may be behind.
    pub fn tick() -> Duration {
        ANCHOR.get_or_init(Anchor::new).tick
    }

    impl Anchor {
        fn new() -> Self {
            // In this order, so that what is reckoned from them is not in the future.
            let (instant, reading) =
                (Instant::now(), reading(libc::clock_gettime, libc::CLOCK_MONOTONIC));
            let tick = self::reading(libc::clock_getres, libc::CLOCK_MONOTONIC_COARSE);
            let (moment, tick) = (super::moment(instant), Duration::from_nanos(tick));
            Self { instant, moment, reading, tick }
        }

        fn recent(&self) -> Instant {
            let ticked = reading(libc::clock_gettime, libc::CLOCK_MONOTONIC_COARSE);
            self.instant + Duration::from_nanos(ticked.saturating_sub(self.reading))
        }
    }

    pub(super) type Ask = unsafe extern "C" fn(libc::clockid_t, *mut libc::timespec) -> libc::c_int;

    pub(super) fn reading(ask: Ask, clock: libc::clockid_t) -> u64 {
        let mut response = MaybeUninit::<libc::timespec>::zeroed();
        // SAFETY: the pointer is to a timespec, which outlives the call.
        unsafe { ask(clock, response.as_mut_ptr()) };
        // SAFETY: all zeros is a valid timespec, and so is what the call made of it.
        let response = unsafe { response.assume_init() };
        response.tv_sec as u64 * 1_000_000_000 + response.tv_nsec as u64
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn the_recent_time_is_at_most_a_tick_behind() {
            // Each begins somewhere else between two ticks, and sees the next one.
            let mut lags: Vec<_> = (0..50).map(|_| lag_until_the_next_tick()).collect();
            lags.sort();
            // A machine that is busy is late to tick now and then.
            assert!(lags[25] <= tick() * 2, "{lags:?}");
        }

        fn lag_until_the_next_tick() -> Duration {
            let anchor = Anchor::new();
            let first = anchor.recent();
            let mut lag = Duration::ZERO;
            loop {
                let before = Instant::now();
                let recent = anchor.recent();
                let after = Instant::now();
                assert!(recent <= after, "{:?} ahead", recent - after);
                if recent > first {
                    return lag;
                }
                lag = lag.max(before - recent);
            }
        }
    }
}
