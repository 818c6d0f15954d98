//! How a request is written: in few instructions, and without allocations.

use ureq_proto::http::{HeaderValue, Method};

use crate::client::http::buffers::IoBuffers;

/// What is written before the body of a request.
pub(in crate::client) struct RequestHead<'a> {
    pub(in crate::client) method: &'a Method,
    /// What goes before the target, from the base URL.
    pub(in crate::client) prefix: &'a str,
    pub(in crate::client) target: &'a str,
    pub(in crate::client) headers: &'a [(&'a str, &'a [u8])],
    /// Of the body, if that is to be told.
    pub(in crate::client) length: Option<usize>,
}

impl RequestHead<'_> {
    /// How many bytes it has, at most.
    pub(in crate::client) fn size(&self) -> usize {
        let headers = self.headers.iter().map(|(name, value)| name.len() + value.len() + 4);
        let line = self.method.as_str().len() + self.prefix.len() + self.target.len();
        line + headers.sum::<usize>() + 64
    }

    /// Writes it; the buffers have room for [`RequestHead::size`].
    pub(in crate::client) fn write(&self, buffers: &mut IoBuffers) {
        let mut write = |bytes: &[u8]| {
            buffers.output()[..bytes.len()].copy_from_slice(bytes);
            buffers.written(bytes.len());
        };
        for part in [self.method.as_str(), " ", self.prefix, self.target, " HTTP/1.1\r\n"] {
            write(part.as_bytes());
        }
        for (name, value) in self.headers {
            for part in [name.as_bytes(), b": ", value, b"\r\n"] {
                write(part);
            }
        }
        if let Some(length) = self.length {
            write(b"content-length: ");
            write(HeaderValue::from(length).as_bytes());
            write(b"\r\n");
        }
        write(b"\r\n");
    }
}

/// Whether a request of this method says how long its body is, even if it has none.
pub(in crate::client) fn says_length(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH)
}
