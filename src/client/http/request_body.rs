//! The body of a request, written piece by piece; where memory ends, an error says so.

use std::io::{self, Write};

use crate::error::{Error, Result};

/// The body of a request, as far as it is written.
#[derive(Default)]
pub(in crate::client) struct RequestBody(Vec<u8>);

impl RequestBody {
    /// Adds JSON as it stands.
    pub(in crate::client) fn json(mut self, text: &str) -> Result<RequestBody> {
        self.write_all(text.as_bytes()).map_err(|_| no_memory())?;
        Ok(self)
    }

    /// Adds a text as a JSON string, quotes included.
    pub(in crate::client) fn string(mut self, text: &str) -> Result<RequestBody> {
        serde_json::to_writer(&mut self, text).map_err(|_| no_memory())?;
        Ok(self)
    }

    pub(in crate::client) fn finish(self) -> Vec<u8> {
        self.0
    }
}

impl Write for RequestBody {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_reserve(bytes.len()).map_err(|_| io::ErrorKind::OutOfMemory)?;
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn no_memory() -> Error {
    Error::out_of_memory("the request")
}
