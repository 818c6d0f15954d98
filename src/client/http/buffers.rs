//! The input and output buffers of a request in flight, which are lent to it.

use crate::os::fork;
use crate::os::locks::Mutex;

const INPUT: usize = 16 * 1024;
const OUTPUT: usize = 8 * 1024;
/// What a response's head may be, and so the most that the input buffer grows to.
pub(in crate::client) const MAX_HEAD: usize = 64 * 1024;
/// The most that is copied together to be sent at once.
const MAX_OUTPUT: usize = 64 * 1024;
/// So many buffers are kept, one and a half megabytes at most. With more requests in flight at a
/// time, some allocate theirs.
const MAX_SPARE: usize = 64;

/// Buffers that no request has. They belong to one endpoint, so that what was sent to one server,
/// or came from it, never stands in what is used for another; a forked child has its own.
#[derive(Debug)]
pub(in crate::client) struct SpareBuffers {
    spare: Mutex<Vec<IoBuffers>>,
    generation: u64,
}

impl Default for SpareBuffers {
    fn default() -> SpareBuffers {
        SpareBuffers { spare: Mutex::default(), generation: fork::generation() }
    }
}

impl SpareBuffers {
    /// Buffers for a request. They go back by [`SpareBuffers::give_back`].
    pub(in crate::client) fn lend(&self) -> IoBuffers {
        self.spare.lock().pop().unwrap_or_default()
    }

    /// Keeps the buffers of a request that is over for another.
    pub(in crate::client) fn give_back(&self, mut buffers: IoBuffers) {
        // A child may drop what its parent had in flight; the lock may be held there for ever.
        if self.generation != fork::generation() {
            return;
        }
        buffers.reset();
        let mut spare = self.spare.lock();
        if spare.len() < MAX_SPARE {
            spare.push(buffers);
        }
    }
}

/// Buffers that are allocated at first use, grow for what needs it, and shrink afterwards.
#[derive(Debug, Default)]
pub(in crate::client) struct IoBuffers {
    input: Vec<u8>,
    start: usize,
    end: usize,
    /// What is to be sent.
    output: Vec<u8>,
    /// Whether the request's body is in there too, so that both leave in one piece.
    has_body: bool,
}

impl IoBuffers {
    /// Where the head of a request goes, which has so many bytes at most.
    pub(in crate::client) fn output(&mut self, head: usize) -> &mut Vec<u8> {
        self.output.clear();
        self.output.reserve(head.max(OUTPUT));
        self.has_body = false;
        &mut self.output
    }

    /// Puts the body behind the head if there is room for it.
    pub(in crate::client) fn append(&mut self, body: &[u8]) {
        if self.output.len().saturating_add(body.len()) <= MAX_OUTPUT {
            self.output.extend_from_slice(body);
            self.has_body = true;
        }
    }

    /// What is to be sent next, after so many bytes of the request with this body.
    pub(in crate::client) fn unsent<'a>(&'a self, sent: usize, body: &'a [u8]) -> &'a [u8] {
        match self.output.get(sent..) {
            Some([]) | None if self.has_body => &[],
            Some([]) | None => body.get(sent - self.output.len()..).unwrap_or_default(),
            Some(unsent) => unsent,
        }
    }

    /// What has come in.
    pub(in crate::client) fn input(&self) -> &[u8] {
        &self.input[self.start..self.end]
    }

    /// So much of it was understood.
    pub(in crate::client) fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
    }

    /// Where received bytes go; empty when the buffer is full and may not grow.
    pub(in crate::client) fn free(&mut self) -> &mut [u8] {
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

    pub(in crate::client) fn add(&mut self, count: usize) {
        self.end = (self.end + count).min(self.input.len());
    }

    pub(in crate::client) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Forgets what is in there, and gives back what only an unusually large request or response
    /// needed.
    fn reset(&mut self) {
        (self.start, self.end) = (0, 0);
        if self.output.capacity() > OUTPUT {
            self.output = Vec::new();
        }
        if self.input.len() > INPUT {
            self.input = Vec::new();
        }
    }
}

#[cfg(all(test, not(shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_allocated_before_it_is_needed_nor_kept_for_long() {
        let spare = SpareBuffers::default();
        let mut buffers = spare.lend();
        assert_eq!((buffers.input.capacity(), buffers.output.capacity()), (0, 0));
        assert_eq!(buffers.output(100).capacity(), OUTPUT);
        assert!(buffers.output(100_000).capacity() >= 100_000);
        while !buffers.free().is_empty() {
            let free = buffers.free().len();
            buffers.add(free);
        }
        spare.give_back(buffers);
        let buffers = spare.lend();
        assert_eq!((buffers.input.capacity(), buffers.output.capacity()), (0, 0));
    }

    #[test]
    fn a_bounded_number_of_buffers_is_kept_and_lent_again_empty() {
        let spare = SpareBuffers::default();
        let mut lent: Vec<IoBuffers> = (0..2 * MAX_SPARE).map(|_| spare.lend()).collect();
        for buffers in &mut lent {
            buffers.free()[..4].copy_from_slice(b"left");
            buffers.add(4);
        }
        for buffers in lent {
            spare.give_back(buffers);
        }
        assert_eq!(spare.spare.lock().len(), MAX_SPARE);
        let buffers = spare.lend();
        assert_eq!((buffers.input(), buffers.input.len()), (&b""[..], INPUT));
    }

    #[test]
    fn a_small_body_leaves_with_its_head_and_a_large_one_after_it() {
        let mut buffers = IoBuffers::default();
        buffers.output(4).extend_from_slice(b"head");
        buffers.append(b"body");
        assert_eq!(buffers.unsent(0, b"body"), b"headbody");
        assert_eq!(buffers.unsent(5, b"body"), b"ody");
        assert_eq!(buffers.unsent(8, b"body"), b"");
        let large = vec![b'x'; MAX_OUTPUT];
        buffers.output(4).extend_from_slice(b"head");
        buffers.append(&large);
        assert_eq!(buffers.unsent(0, &large), b"head");
        assert_eq!(buffers.unsent(4, &large).len(), MAX_OUTPUT);
        assert_eq!(buffers.unsent(5, &large).len(), MAX_OUTPUT - 1);
        assert_eq!(buffers.unsent(4 + MAX_OUTPUT, &large), b"");
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
        buffers.consume(MAX_HEAD - 1);
        assert_eq!(buffers.free().len(), MAX_HEAD - 1);
        buffers.consume(1);
        assert!(buffers.is_empty());
    }
}
