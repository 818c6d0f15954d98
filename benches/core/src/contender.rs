//! What is measured: something that does the same thing again and again, from any thread.

use std::ffi::{CString, c_char, c_int, c_void};
use std::io;
use std::net::SocketAddr;
use std::ptr;

/// One of those that are compared.
pub trait Contender: Sync {
    /// Does it so often.
    fn run(&self, count: u64);
}

/// Opens a contender with so many connections.
pub type Open = fn(connections: usize, place: &Place) -> io::Result<Box<dyn Contender>>;

/// Where requests go.
#[derive(Clone, Debug)]
pub struct Place {
    pub address: SocketAddr,
    /// What goes before the route.
    pub path: String,
    /// Of the certificate authority, under TLS.
    pub ca_file: Option<String>,
}

impl Place {
    pub fn new(address: SocketAddr, path: &str) -> Place {
        Place { address, path: path.to_owned(), ca_file: None }
    }
}

/// As c/contender.h has it.
#[repr(C)]
struct Functions {
    open: unsafe extern "C" fn(
        c_int,
        *const c_char,
        c_int,
        *const c_char,
        *const c_char,
    ) -> *mut c_void,
    run: unsafe extern "C" fn(*mut c_void, u64) -> c_int,
    close: unsafe extern "C" fn(*mut c_void),
}

unsafe extern "C" {
    static phantomdb_acquires: Functions;
    static phantomdb_requests: Functions;
    static phantomdb_reconnecting: Functions;
    static mongoc_acquires: Functions;
    static zdb_acquires: Functions;
    static raw_requests: Functions;
    static curl_requests: Functions;
}

/// One that is written in C.
struct InC {
    functions: &'static Functions,
    opened: *mut c_void,
}

// SAFETY: what the C contenders open may be used from any thread, by `run`.
unsafe impl Sync for InC {}

impl InC {
    fn open(
        functions: &'static Functions,
        connections: usize,
        place: &Place,
    ) -> io::Result<Box<dyn Contender>> {
        let host = CString::new(place.address.ip().to_string())?;
        let path = CString::new(place.path.as_str())?;
        let port = c_int::from(place.address.port());
        let connections = connections as c_int;
        let ca_file = place.ca_file.as_deref().map(CString::new).transpose()?;
        let ca_file = ca_file.as_ref().map_or(ptr::null(), |file| file.as_ptr());
        // SAFETY: all texts end with a NUL and outlive the call.
        let opened =
            unsafe { (functions.open)(connections, host.as_ptr(), port, path.as_ptr(), ca_file) };
        if opened.is_null() {
            return Err(io::Error::other("a contender could not be opened"));
        }
        Ok(Box::new(InC { functions, opened }))
    }
}

impl Contender for InC {
    fn run(&self, count: u64) {
        // SAFETY: `opened` came from the same contender's `open`, and is not closed yet.
        let failed = unsafe { (self.functions.run)(self.opened, count) };
        assert!(failed == 0, "a contender failed");
    }
}

impl Drop for InC {
    fn drop(&mut self) {
        // SAFETY: as above, and nobody uses it any more.
        unsafe { (self.functions.close)(self.opened) }
    }
}

macro_rules! openers {
    ($($name:ident opens $functions:ident;)*) => {
        $(pub fn $name(connections: usize, place: &Place) -> io::Result<Box<dyn Contender>> {
            // SAFETY: a constant of the C code.
            InC::open(unsafe { &$functions }, connections, place)
        })*
    };
}

openers! {
    acquire_phantomdb opens phantomdb_acquires;
    acquire_mongoc opens mongoc_acquires;
    acquire_zdb opens zdb_acquires;
    request_phantomdb opens phantomdb_requests;
    request_reconnecting opens phantomdb_reconnecting;
    request_raw opens raw_requests;
    request_curl opens curl_requests;
}
