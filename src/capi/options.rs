//! `phantomdb_pool_options`.

use std::ffi::{CStr, CString, c_char, c_void};
use std::mem::offset_of;
use std::ptr;
use std::sync::OnceLock;

use super::call::{UserData, call_at_once};
use super::member::{Member, phantomdb_option_type};
use super::option_info::phantomdb_option_info;
use super::structs::{self, Sized32};
use crate::config::{LogLevel, Logger, Options, Validation};
use crate::error::{Error, Result};

/// How an idle connection is checked before it is handed out; see
/// `phantomdb_pool_options.validation`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum phantomdb_validation {
    /// Ask the operating system whether the socket is still open: one system call, no round trip.
    /// The default.
    PHANTOMDB_VALIDATION_SOCKET = 0,
    /// Ask the server (`GET /health`): one round trip. Any HTTP response will do.
    PHANTOMDB_VALIDATION_PING = 1,
    /// Don't check, unless another connection was lost. Then connections that were idle before
    /// are pinged, as with the other two.
    PHANTOMDB_VALIDATION_NONE = 2,
}

/// How serious a message to `phantomdb_pool_options.log` is.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum phantomdb_log_level {
    /// For information: nothing is wrong.
    PHANTOMDB_LOG_INFO = 0,
    /// Something is wrong, and the pool deals with it.
    PHANTOMDB_LOG_WARNING = 1,
}

/// Everything that can be set on a pool. Fill it with `phantomdb_pool_options_init`, then change
/// what you like. `phantomdb_pool_create` copies all texts, so they need to live only until it
/// returns.
///
/// Times are in milliseconds, at most 365 days. `phantomdb_pool_create` refuses a value that
/// makes no sense, with an error that begins with the name of the option (for a time, without
/// `_ms`).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct phantomdb_pool_options {
    /// Set by `phantomdb_pool_options_init`; leave it alone.
    pub struct_size: u32,
    /// Connections that the pool keeps even when nobody uses them. Default 2; 0 is allowed.
    pub min_connections: u32,
    /// The most connections that the pool ever has, as the server counts them. Default 10; 1 to
    /// 65535, and at least `min_connections`.
    pub max_connections: u32,
    /// How many connections may be opening at the same time. Default 2; at least 1.
    pub max_connecting: u32,
    /// How many callers may wait at the same time; one more gets `PHANTOMDB_ERR_OVERLOADED`.
    /// Default 10000; 0 means that nobody ever waits.
    pub max_waiters: u32,
    /// One of `phantomdb_validation`. Default `PHANTOMDB_VALIDATION_SOCKET`.
    pub validation: i32,
    /// `http[s]://host[:port][/prefix]`. Default "http://localhost:8080".
    pub base_url: *const c_char,
    /// The bearer token; NULL, the default, sends none. It is never shown in a message.
    pub token: *const c_char,
    /// A PEM file with the certificates that may sign the server's; NULL, the default, means
    /// those of the system. This file and those below are read again at a reset, and after a
    /// failure of TLS. The environment (SSL_CERT_FILE, SSL_CERT_DIR) says where the system's
    /// certificates are, except in a program that is set-uid or has other extra privileges.
    pub tls_ca_file: *const c_char,
    /// A PEM file with the client's certificate, for servers that want one. Default NULL.
    pub tls_cert_file: *const c_char,
    /// A PEM file with the private key of `tls_cert_file`. Default NULL.
    pub tls_key_file: *const c_char,
    /// How long `phantomdb_pool_acquire` waits, all its steps included. Default 30000; more than
    /// 0.
    pub acquire_timeout_ms: i64,
    /// How long a connection above `min_connections` may be unused before it is closed. Default
    /// 60000; 0 means forever.
    pub idle_timeout_ms: i64,
    /// The age at which a connection is retired, less a random part of up to a tenth. Default
    /// 1800000; 0 means never.
    pub max_lifetime_ms: i64,
    /// How long a connection may be idle and still be handed out without validation. Default 500;
    /// 0 validates every time.
    pub validate_after_ms: i64,
    /// How long a validation by ping may take. Default 1000; more than 0.
    pub validation_timeout_ms: i64,
    /// How long a request may take, including opening the connection. Default 30000; more than 0.
    pub request_timeout_ms: i64,
    /// How long opening a connection may take: name look-up, TCP and TLS together. Default 5000;
    /// more than 0.
    pub connect_timeout_ms: i64,
    /// How long `phantomdb_pool_close` waits for connections to be released before it cuts them
    /// off. Default 5000; 0 means not at all.
    pub close_timeout_ms: i64,
    /// The largest body of a response, in bytes. Default 67108864 (64 MiB); more than 0.
    pub max_response_bytes: u64,
    /// How long a connection may be acquired before it is reported to `log` and counted as
    /// leaked. It is not taken back. Default 0: never.
    pub leak_threshold_ms: i64,
    /// Called with what happens to the pool: leaked connections, the beginning and the end of an
    /// outage, a server that responds to pings with 503. Default NULL: no log.
    ///
    /// It is called on a thread of the library, one message at a time, with no lock held, and
    /// never after `phantomdb_pool_close` has returned. `level` is one of `phantomdb_log_level`;
    /// `message` is valid during the call. Calls that wait (acquire, requests, close) are refused
    /// in it with `PHANTOMDB_ERR_WOULD_DEADLOCK`.
    pub log:
        Option<unsafe extern "C" fn(level: i32, message: *const c_char, user_data: *mut c_void)>,
    /// Passed to `log` unchanged. Default NULL.
    pub log_user_data: *mut c_void,
    /// 1 opens `min_connections` at create, in the background; 0, the default, opens each at its
    /// first request.
    pub preconnect: i32,
    /// For later versions; leave it 0.
    pub reserved: i32,
}

// SAFETY: `repr(C)`, begins with a u32; integers and pointers, for which any bytes are a value.
unsafe impl Sized32 for phantomdb_pool_options {
    const FIRST_SIZE: usize = offset_of!(phantomdb_pool_options, reserved) + size_of::<i32>();
    const NAME: &'static str = "options";
    const INIT: &'static str = "phantomdb_pool_options_init";
}

/// Fills `options` with the defaults.
///
/// Pass `sizeof(phantomdb_pool_options)` as `struct_size`. It tells the library which version of
/// the struct the program was compiled with, so that each works with a newer version of the
/// other.
///
/// Errors: `PHANTOMDB_ERR_INVALID_ARGUMENT` if `options` is NULL or no version has this size;
/// nothing is written then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_pool_options_init(
    options: *mut phantomdb_pool_options,
    struct_size: u32,
) -> i32 {
    // SAFETY: C promises that `options` has `struct_size` bytes; there is no error struct.
    unsafe { call_at_once(ptr::null_mut(), || structs::fill(options, struct_size, defaults())) }
}

/// A pool's default options as the struct has them.
pub(super) fn defaults() -> phantomdb_pool_options {
    static DEFAULTS: OnceLock<Defaults> = OnceLock::new();
    DEFAULTS.get_or_init(|| Defaults(to_c(&Options::default()))).0
}

struct Defaults(phantomdb_pool_options);

// SAFETY: its pointers are NULL or lead to text that `Member::to_c` leaked, which is never changed.
unsafe impl Sync for Defaults {}
// SAFETY: no thread owns that text.
unsafe impl Send for Defaults {}

/// The core's options from a caller's struct; NULL means the defaults.
///
/// # Safety
/// `options` is NULL or a struct that `phantomdb_pool_options_init` filled, its texts NULL or
/// ended by a NUL.
pub(super) unsafe fn read(options: *const phantomdb_pool_options) -> Result<Options> {
    if options.is_null() {
        return Ok(Options::default());
    }
    // SAFETY: `options` is not NULL, so `phantomdb_pool_options_init` filled as many bytes of it
    // as its first member says.
    let given = unsafe { structs::read(options, defaults()) }?;
    if given.reserved != 0 {
        return Err(Error::invalid_argument("reserved", "must be 0"));
    }
    // SAFETY: its texts are NULL or end with a NUL: this function asks the same of its caller.
    unsafe { from_c(&given) }
}

impl Member for Validation {
    type C = i32;
    const TYPE: phantomdb_option_type = phantomdb_option_type::PHANTOMDB_OPTION_CHOICE;
    const CHOICES: &'static [&'static CStr] = &[c"socket", c"ping", c"none"];

    fn to_c(&self) -> i32 {
        let number = match self {
            Validation::Socket => phantomdb_validation::PHANTOMDB_VALIDATION_SOCKET,
            Validation::Ping => phantomdb_validation::PHANTOMDB_VALIDATION_PING,
            Validation::None => phantomdb_validation::PHANTOMDB_VALIDATION_NONE,
        };
        number as i32
    }

    unsafe fn from_c(name: &str, given: i32) -> Result<Validation> {
        [Validation::Socket, Validation::Ping, Validation::None]
            .into_iter()
            .find(|validation| validation.to_c() == given)
            .ok_or_else(|| {
                let why = format!("{given} is not one of phantomdb_validation");
                Error::invalid_argument(name, why)
            })
    }
}

/// Every option of the core with its member of `phantomdb_pool_options`. The compiler finds an
/// option or a member that is missing here, and a pair that does not fit.
macro_rules! options {
    ($($option:ident: $member:ident,)*) => {
        fn to_c(options: &Options) -> phantomdb_pool_options {
            phantomdb_pool_options {
                struct_size: size_of::<phantomdb_pool_options>() as u32,
                $($member: options.$option.to_c(),)*
                log: None,
                log_user_data: ptr::null_mut(),
                reserved: 0,
            }
        }

        /// # Safety
        /// Its texts are NULL or end with a NUL.
        unsafe fn from_c(given: &phantomdb_pool_options) -> Result<Options> {
            Ok(Options {
                // SAFETY: if it is a text, it is NULL or ends with a NUL, as this function asks,
                // too.
                $($option: unsafe { Member::from_c(stringify!($option), given.$member) }?,)*
                log: given.log.map(|log| logger(log, given.log_user_data)),
            })
        }

        /// The table of the options without their ranges, which the core knows.
        pub(super) fn members() -> Vec<phantomdb_option_info> {
            let defaults = defaults();
            let of = Options::default();
            vec![
                $(phantomdb_option_info::of(
                    &of.$option,
                    defaults.$member,
                    concat!(stringify!($option), "\0"),
                    offset_of!(phantomdb_pool_options, $member),
                ),)*
                phantomdb_option_info::of_log(offset_of!(phantomdb_pool_options, log)),
            ]
        }
    };
}

options! {
    base_url: base_url,
    token: token,
    min_connections: min_connections,
    max_connections: max_connections,
    acquire_timeout: acquire_timeout_ms,
    idle_timeout: idle_timeout_ms,
    max_lifetime: max_lifetime_ms,
    validate_after: validate_after_ms,
    validation: validation,
    validation_timeout: validation_timeout_ms,
    max_waiters: max_waiters,
    max_connecting: max_connecting,
    leak_threshold: leak_threshold_ms,
    request_timeout: request_timeout_ms,
    connect_timeout: connect_timeout_ms,
    close_timeout: close_timeout_ms,
    preconnect: preconnect,
    tls_ca_file: tls_ca_file,
    tls_cert_file: tls_cert_file,
    tls_key_file: tls_key_file,
    max_response_bytes: max_response_bytes,
}

fn logger(
    log: unsafe extern "C" fn(i32, *const c_char, *mut c_void),
    user_data: *mut c_void,
) -> Logger {
    let user_data = UserData(user_data);
    Logger::new(move |level, message| {
        let level = match level {
            LogLevel::Info => phantomdb_log_level::PHANTOMDB_LOG_INFO,
            LogLevel::Warning => phantomdb_log_level::PHANTOMDB_LOG_WARNING,
        };
        let message = CString::new(message.replace('\0', "?")).expect("each NUL is replaced");
        // SAFETY: the program passed `log` to be called with messages, from any thread; this one
        // ends with a NUL and lives until it returns.
        unsafe { log(level as i32, message.as_ptr(), user_data.get()) };
    })
}
