//! A request in flight to the server of the model checker.

use std::fmt;
use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::time::Instant;

use crate::client::cancel::Attached;
use crate::client::response::response::Response;
use crate::client::transport::socket::OnClose;
use crate::client::transport::wire::Wire;

pub struct InFlight {
    pub(super) until: Instant,
    pub(super) wire: Box<Wire>,
    pub(super) attached: Attached,
}

pub struct UnreadResponse {
    pub(super) response: Response,
    pub(super) until: Instant,
    pub(super) attached: Attached,
}

impl InFlight {
    pub fn socket(&self) -> usize {
        self.wire.socket().number
    }

    pub fn until(&self) -> Instant {
        self.until
    }

    pub fn is_ready(&self) -> bool {
        false
    }

    pub fn descriptor(&self) -> RawFd {
        -1
    }

    pub fn duplicate(&self, _on_close: Option<OnClose>) -> io::Result<OwnedFd> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub fn is_sending(&self) -> bool {
        false
    }
}

impl fmt::Debug for InFlight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InFlight").finish_non_exhaustive()
    }
}

impl fmt::Debug for UnreadResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnreadResponse").finish_non_exhaustive()
    }
}
