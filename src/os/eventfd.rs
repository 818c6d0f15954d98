//! A descriptor that a program's event loop can watch, and that the library makes readable.
#![allow(unsafe_code)]

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, RawFd};

/// It is readable from [`EventFd::signal`] on, until [`EventFd::reset`].
#[derive(Debug)]
pub struct EventFd(File);

impl EventFd {
    /// Takes one descriptor.
    ///
    /// # Errors
    /// If the system refuses it.
    pub fn new() -> io::Result<EventFd> {
        // SAFETY: it takes no pointers.
        let descriptor = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call above has just opened it, and nobody else knows of it.
        Ok(EventFd(unsafe { File::from_raw_fd(descriptor) }))
    }

    pub fn descriptor(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    pub fn signal(&self) {
        // It fails only if the count is at its limit, and then the descriptor is readable.
        let _ = (&self.0).write(&1u64.to_ne_bytes());
    }

    pub fn reset(&self) {
        // It fails only if the count is 0 already.
        let _ = (&self.0).read(&mut [0; 8]);
    }
}
