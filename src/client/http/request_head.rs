//! How a request is written: in few instructions, and without allocations.

use std::io::Write;

use ureq_proto::http::Method;

use crate::client::http::buffers::IoBuffers;

/// Room for what is between the parts of a head, and for all that a body adds to it.
const MORE: usize = 160;

/// What is written before the body of a request.
pub(in crate::client) struct RequestHead<'a> {
    pub(in crate::client) method: &'a Method,
    /// What goes before the target, from the base URL.
    pub(in crate::client) prefix: &'a str,
    pub(in crate::client) target: &'a str,
    /// The headers that every request has, each with the end of its line.
    pub(in crate::client) headers: &'a [u8],
    /// The open transaction.
    pub(in crate::client) transaction: Option<&'a str>,
    pub(in crate::client) body: Option<&'a [u8]>,
}

impl RequestHead<'_> {
    /// Writes it into the buffers, and as much of the body as there is room for.
    pub(in crate::client) fn write(&self, buffers: &mut IoBuffers) {
        let method = self.method.as_str();
        let parts = [method, self.prefix, self.target, self.transaction.unwrap_or_default()];
        let size = parts.iter().map(|part| part.len()).sum::<usize>() + self.headers.len() + MORE;
        let head = buffers.output(size);
        for part in [method, " ", self.prefix, self.target, " HTTP/1.1\r\n"] {
            head.extend_from_slice(part.as_bytes());
        }
        head.extend_from_slice(self.headers);
        if let Some(id) = self.transaction {
            for part in ["x-phantomdb-transaction: ", id, "\r\n"] {
                head.extend_from_slice(part.as_bytes());
            }
        }
        if self.body.is_some() {
            head.extend_from_slice(b"content-type: application/json\r\n");
        }
        if self.body.is_some() || says_length(self.method) {
            // Memory has room for it, so that nothing can fail.
            let _ = write!(head, "content-length: {}\r\n", self.body.map_or(0, <[u8]>::len));
        }
        head.extend_from_slice(b"\r\n");
        if let Some(body) = self.body {
            buffers.append(body);
        }
    }
}

/// Whether a request of this method says how long its body is, even if it has none.
pub(in crate::client) fn says_length(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH)
}
