//! How a request is written: in few instructions, and without allocations.

use std::io::Write;

use ureq_proto::http::Method;

use crate::client::http::buffers::IoBuffers;

/// Room for what is between the parts of a head, and for all that a body adds to it.
const MORE: usize = 160;

/// How a head ends.
pub(in crate::client) const END: &[u8] = b"\r\n\r\n";

/// What is written before the body of a request.
pub(in crate::client) struct RequestHead<'a> {
    pub(in crate::client) method: &'a Method,
    /// What goes before the target, from the base URL.
    pub(in crate::client) prefix: &'a str,
    pub(in crate::client) target: &'a str,
    /// What goes after it in every request: ` HTTP/1.1`, then headers, each on a new line, and an
    /// empty line.
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
        match *self.method {
            Method::GET => head.extend_from_slice(b"GET "),
            _ => {
                head.extend_from_slice(method.as_bytes());
                head.push(b' ');
            }
        }
        if !self.prefix.is_empty() {
            head.extend_from_slice(self.prefix.as_bytes());
        }
        head.extend_from_slice(self.target.as_bytes());
        head.extend_from_slice(self.headers);
        if self.transaction.is_none() && self.body.is_none() && !says_length(self.method) {
            return;
        }
        head.truncate(head.len() - END.len());
        if let Some(id) = self.transaction {
            head.extend_from_slice(b"\r\nx-phantomdb-transaction: ");
            head.extend_from_slice(id.as_bytes());
        }
        if self.body.is_some() {
            head.extend_from_slice(b"\r\ncontent-type: application/json");
        }
        if self.body.is_some() || says_length(self.method) {
            let length = self.body.map_or(0, <[u8]>::len);
            // There is room for it, and writing to memory can't fail.
            let _ = write!(head, "\r\ncontent-length: {length}");
        }
        head.extend_from_slice(END);
        if let Some(body) = self.body {
            buffers.append(body);
        }
    }
}

/// Whether a request of this method says how long its body is, even if it has none.
pub(in crate::client) fn says_length(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH)
}
