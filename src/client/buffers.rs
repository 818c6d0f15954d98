//! The input and output buffers of a connection, as ureq wants them.

use ureq::unversioned::transport::Buffers;

const INPUT: usize = 16 * 1024;
const OUTPUT: usize = 8 * 1024;
/// What an answer's head may be, and so the most that the input buffer grows to.
pub(super) const MAX_HEAD: usize = 64 * 1024;
/// The most that is copied together to be sent at once.
const MAX_OUTPUT: usize = 64 * 1024;

/// Buffers that are allocated at first use, grow for what needs it, and shrink afterwards.
///
/// ureq writes a request's head and body one after the other; the head may be held back
/// ([`IoBuffers::hold`]) so that both leave in one piece.
#[derive(Debug, Default)]
pub(super) struct IoBuffers {
    input: Vec<u8>,
    start: usize,
    end: usize,
    output: Vec<u8>,
    held: usize,
    progress: bool,
}

impl IoBuffers {
    /// Makes room for a request with such a head and body. ureq needs each line of the head to fit.
    pub(super) fn prepare(&mut self, head: usize, body: usize) {
        let wanted = head.saturating_add(body).clamp(OUTPUT, MAX_OUTPUT).max(head);
        self.output.resize(wanted, 0);
        self.held = 0;
        self.progress = false;
    }

    /// The first `amount` bytes of what was just written stay for the next transmission; false if
    /// that leaves too little room for it.
    pub(super) fn hold(&mut self, amount: usize) -> bool {
        let fits = self.held == 0 && amount + 1 < self.output.len();
        if fits {
            self.held = amount;
        }
        fits
    }

    /// What is to be sent: what was held back, and the `amount` bytes that were written after it.
    pub(super) fn take_output(&mut self, amount: usize) -> &[u8] {
        let total = self.held + amount;
        self.held = 0;
        &self.output[..total.min(self.output.len())]
    }

    /// Where received bytes go; empty when the buffer is full and may not grow.
    pub(super) fn free(&mut self) -> &mut [u8] {
        if self.start > 0 && self.end == self.input.len() {
            self.input.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.input.len() && self.input.len() < MAX_HEAD {
            let size = (self.input.len() * 2).clamp(INPUT, MAX_HEAD);
            self.input.resize(size, 0);
        }
        &mut self.input[self.end..]
    }

    pub(super) fn add(&mut self, count: usize) {
        self.end = (self.end + count).min(self.input.len());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Gives back what only an unusually large request or answer needed.
    pub(super) fn shrink(&mut self) {
        if self.output.len() > OUTPUT {
            self.output = Vec::new();
        }
        if self.input.len() > INPUT && self.is_empty() {
            self.input = Vec::new();
            self.start = 0;
            self.end = 0;
        }
    }
}

impl Buffers for IoBuffers {
    fn output(&mut self) -> &mut [u8] {
        &mut self.output[self.held..]
    }

    fn input(&self) -> &[u8] {
        &self.input[self.start..self.end]
    }

    fn input_append_buf(&mut self) -> &mut [u8] {
        self.free()
    }

    fn input_appended(&mut self, amount: usize) {
        self.add(amount);
    }

    fn input_consume(&mut self, amount: usize) {
        self.progress = amount > 0;
        self.start = (self.start + amount).min(self.end);
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
    }

    /// The scratch space is for chunked bodies, which are never sent here.
    fn tmp_and_output(&mut self) -> (&mut [u8], &mut [u8]) {
        (&mut self.input[self.end..], &mut self.output[self.held..])
    }

    fn can_use_input(&self) -> bool {
        !self.is_empty() && self.progress
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_allocated_before_it_is_needed_nor_kept_for_long() {
        let mut buffers = IoBuffers::default();
        assert_eq!((buffers.input.capacity(), buffers.output.capacity()), (0, 0));
        buffers.prepare(20_000, 1_000_000);
        assert_eq!(buffers.output().len(), MAX_OUTPUT);
        buffers.prepare(100_000, 0);
        assert_eq!(buffers.output().len(), 100_000);
        buffers.shrink();
        buffers.prepare(10, 10);
        assert_eq!(buffers.output().len(), OUTPUT);
    }

    #[test]
    fn a_held_head_leaves_with_the_body() {
        let mut buffers = IoBuffers::default();
        buffers.prepare(4, 4);
        buffers.output()[..4].copy_from_slice(b"head");
        assert!(buffers.hold(4));
        buffers.tmp_and_output().1[..4].copy_from_slice(b"body");
        assert_eq!(buffers.take_output(4), b"headbody");
        let full = buffers.output().len();
        assert!(!buffers.hold(full));
    }

    #[test]
    fn input_grows_up_to_its_limit_and_moves_up() {
        let mut buffers = IoBuffers::default();
        assert_eq!(buffers.free().len(), INPUT);
        while !buffers.free().is_empty() {
            let free = buffers.free().len();
            buffers.add(free);
        }
        assert_eq!(buffers.input().len(), MAX_HEAD);
        buffers.input_consume(MAX_HEAD - 1);
        assert!(buffers.can_use_input());
        assert_eq!(buffers.free().len(), MAX_HEAD - 1);
        buffers.input_consume(0);
        assert!(!buffers.can_use_input());
        buffers.input_consume(1);
        assert!(buffers.is_empty());
        buffers.shrink();
        assert_eq!(buffers.free().len(), INPUT);
    }
}
