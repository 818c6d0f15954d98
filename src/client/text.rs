//! Many short texts in one allocation, each with a NUL after it, so that C can be lent them.

/// Where a text lies in [`Texts`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    start: usize,
    /// Past the NUL.
    end: usize,
}

/// An arena of texts.
#[derive(Debug, Default)]
pub(super) struct Texts(String);

impl Texts {
    /// With room for so many bytes.
    pub(super) fn with_room(bytes: usize) -> Texts {
        Texts(String::with_capacity(bytes))
    }

    pub(super) fn add(&mut self, text: &str) -> Span {
        let start = self.0.len();
        self.0.push_str(text);
        self.0.push('\0');
        Span { start, end: self.0.len() }
    }

    /// The text with the NUL after it.
    pub(super) fn get(&self, span: Span) -> &str {
        &self.0[span.start..span.end]
    }

    pub(super) fn shrink(&mut self) {
        self.0.shrink_to_fit();
    }
}
