//! The input and output buffers of a connection.

const INPUT: usize = 16 * 1024;
const OUTPUT: usize = 8 * 1024;
/// What a response's head may be, and so the most that the input buffer grows to.
pub(in crate::client) const MAX_HEAD: usize = 64 * 1024;
/// The most that is copied together to be sent at once.
const MAX_OUTPUT: usize = 64 * 1024;

/// Buffers that are allocated at first use, grow for what needs it, and shrink afterwards.
#[derive(Debug, Default)]
pub(in crate::client) struct IoBuffers {
    input: Vec<u8>,
    start: usize,
    end: usize,
    output: Vec<u8>,
    /// How much of `output` is to be sent.
    filled: usize,
    /// Whether the request's body is in there too, so that both leave in one piece.
    has_body: bool,
}

impl IoBuffers {
    /// Makes room for a request with such a head and body.
    pub(in crate::client) fn prepare(&mut self, head: usize, body: usize) {
        let wanted = head.saturating_add(body).clamp(OUTPUT, MAX_OUTPUT).max(head);
        if self.output.len() < wanted {
            self.output.resize(wanted, 0);
        }
        self.filled = 0;
        self.has_body = false;
    }

    /// Where the next part of the head goes.
    pub(in crate::client) fn output(&mut self) -> &mut [u8] {
        &mut self.output[self.filled..]
    }

    /// So much of it was written.
    pub(in crate::client) fn written(&mut self, count: usize) {
        self.filled = (self.filled + count).min(self.output.len());
    }

    /// Puts the body behind the head if there is room for it.
    pub(in crate::client) fn append(&mut self, body: &[u8]) {
        if let Some(room) = self.output[self.filled..].get_mut(..body.len()) {
            room.copy_from_slice(body);
            self.filled += body.len();
            self.has_body = true;
        }
    }

    /// What is to be sent next, after so many bytes of the request with this body.
    pub(in crate::client) fn unsent<'a>(&'a self, sent: usize, body: &'a [u8]) -> &'a [u8] {
        match self.output[..self.filled].get(sent..) {
            Some([]) | None if self.has_body => &[],
            Some([]) | None => body.get(sent - self.filled..).unwrap_or_default(),
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

    /// Gives back what only an unusually large request or response needed.
    pub(in crate::client) fn shrink(&mut self) {
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
    fn a_small_body_leaves_with_its_head_and_a_large_one_after_it() {
        let mut buffers = IoBuffers::default();
        let write_head = |buffers: &mut IoBuffers| {
            buffers.output()[..4].copy_from_slice(b"head");
            buffers.written(4);
        };
        buffers.prepare(4, 4);
        write_head(&mut buffers);
        buffers.append(b"body");
        assert_eq!(buffers.unsent(0, b"body"), b"headbody");
        assert_eq!(buffers.unsent(5, b"body"), b"ody");
        assert_eq!(buffers.unsent(8, b"body"), b"");
        let large = vec![b'x'; MAX_OUTPUT];
        buffers.prepare(4, large.len());
        write_head(&mut buffers);
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
        buffers.shrink();
        assert_eq!(buffers.free().len(), INPUT);
    }
}
