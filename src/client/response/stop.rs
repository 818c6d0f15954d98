//! Ends the reading of a large response at its deadline, or when its request is cancelled.

use std::cell::Cell;
use std::time::Instant;

use crate::client::cancel::CancelState;
use crate::os::clock;

/// How many bytes are read between two looks: a fraction of a millisecond's work.
const BETWEEN_LOOKS: usize = 64 * 1024;

/// Whether the reading of a response may go on. To be asked between its parts.
pub(in crate::client) struct Stop<'a> {
    /// `None` if it may always go on.
    limits: Option<(Instant, &'a CancelState)>,
    unchecked: Cell<usize>,
}

/// The response is not wanted any more: its time is over, or its request was cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::client) struct StoppedError;

impl<'a> Stop<'a> {
    /// For what is read in no time.
    pub(in crate::client) fn never() -> Stop<'static> {
        Stop { limits: None, unchecked: Cell::new(0) }
    }

    pub(in crate::client) fn at(until: Instant, cancel: &'a CancelState) -> Stop<'a> {
        Stop { limits: Some((until, cancel)), unchecked: Cell::new(0) }
    }

    /// To be called after every part with its size in bytes; costs next to nothing.
    pub(in crate::client) fn check(&self, bytes: usize) -> Result<(), StoppedError> {
        let unchecked = self.unchecked.get().saturating_add(bytes);
        if unchecked < BETWEEN_LOOKS {
            self.unchecked.set(unchecked);
            return Ok(());
        }
        self.unchecked.set(0);
        self.look()
    }

    /// Looks at once.
    pub(in crate::client) fn look(&self) -> Result<(), StoppedError> {
        match self.limits {
            Some((until, cancel)) if cancel.is_cancelled() || until <= clock::now() => {
                Err(StoppedError)
            }
            _ => Ok(()),
        }
    }
}

#[cfg(all(test, not(shuttle)))]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn it_looks_as_soon_as_enough_was_read() {
        let cancel = CancelState::default();
        cancel.begin();
        let stop = Stop::at(Instant::now() + Duration::from_secs(60), &cancel);
        assert_eq!(stop.check(usize::MAX), Ok(()));
        cancel.cancel();
        assert_eq!(stop.check(BETWEEN_LOOKS - 1), Ok(()));
        assert_eq!(stop.check(1), Err(StoppedError));
        assert_eq!(Stop::never().check(usize::MAX), Ok(()));
        cancel.begin();
        let past = Stop::at(Instant::now(), &cancel);
        assert_eq!(past.look(), Err(StoppedError));
    }
}
