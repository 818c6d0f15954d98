//! A short wait before the queue. Where connections are held only briefly, the thread that has one has
//! often just been suspended by the system: letting it run is faster than to sleep until it hands the
//! connection over, and to be woken then. While others wait, it lets them be served: else each release
//! would wake a sleeping thread, for as long as there are more threads than connections. It passes
//! nobody: a connection is in the stack only while the queue is empty.

use super::slot::FastSlot;
use super::stack::ReadyStack;
use crate::os::clock;
use crate::os::permanent::Permanent;
use crate::os::threads;

/// How often others may run in between.
const TURNS: u32 = 64;
/// How much a wait that came to nothing counts against those that did not.
const COST: u64 = 2;
const MOST_LUCK: u64 = 64;

impl ReadyStack {
    /// As [`ReadyStack::acquire`], for a caller that found nothing ready and may wait.
    #[cold]
    pub fn acquire_soon<'a>(
        &self,
        slots: &'a Permanent<FastSlot>,
        holder: u64,
        is_meant: impl Fn() -> bool,
    ) -> Option<(&'a FastSlot, u64)> {
        // Where such waits come to nothing, as connections are held for longer, one in a tick is tried.
        if self.is_unlucky() {
            return None;
        }
        for _ in 0..TURNS {
            if !self.is_empty() {
                break;
            }
            threads::yield_now();
            let acquired = self.acquire(slots, clock::recent_moment(), holder, &is_meant);
            if acquired.is_some() {
                self.note_luck(|luck| (luck + 1).min(MOST_LUCK));
                return acquired;
            }
        }
        self.note_luck(|luck| luck.saturating_sub(COST));
        None
    }

    fn is_unlucky(&self) -> bool {
        let now = clock::recent_moment();
        self.luck() == 0 && self.tried_at(now) == now
    }
}
