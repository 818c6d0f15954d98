//! `phantomdb_pool_options`.

use std::ffi::{CString, c_char, c_void};
use std::mem::offset_of;
use std::path::PathBuf;
use std::ptr;
use std::sync::OnceLock;
use std::time::Duration;

use super::call::{UserData, call_at_once, optional_text, text};
use super::structs::{self, Sized32};
use crate::config::{LogLevel, Logger, Options, Secret, Validation};
use crate::error::{Error, Result};

/// How an idle connection is checked before it is handed out;
/// `phantomdb_pool_options.validation`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum phantomdb_validation {
    /// Ask the operating system whether the socket is still open: one system call, no round
    /// trip. The default.
    PHANTOMDB_VALIDATION_SOCKET = 0,
    /// Ask the server (`GET /health`): a round trip. Any HTTP response will do.
    PHANTOMDB_VALIDATION_PING = 1,
    /// Do not check, unless another connection died: then, as with the other two, those that were idle
    /// before are asked.
    PHANTOMDB_VALIDATION_NONE = 2,
}

/// How much a message to `phantomdb_pool_options.log` matters.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum phantomdb_log_level {
    /// Good to know.
    PHANTOMDB_LOG_INFO = 0,
    /// Something is wrong, and the pool deals with it.
    PHANTOMDB_LOG_WARNING = 1,
}

/// Everything that can be set on a pool. Fill it with `phantomdb_pool_options_init`, then change
/// what you like; all texts are copied by `phantomdb_pool_create` and may go afterwards.
///
/// Times are in milliseconds, at most 365 days. A value that makes no sense is refused by
/// `phantomdb_pool_create`, with an error that begins with the option's name (of a time without
/// its `_ms`).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct phantomdb_pool_options {
    /// Set by `phantomdb_pool_options_init`; leave it alone.
    pub struct_size: u32,
    /// Connections that the pool keeps, even when nobody uses them. Default 2; 0 is allowed.
    pub min_connections: u32,
    /// Connections that the pool never exceeds, as the server counts them. Default 10; 1 to
    /// 65535, and not less than `min_connections`.
    pub max_connections: u32,
    /// How many connections may be opening at once. Default 2; at least 1.
    pub max_connecting: u32,
    /// How many callers may wait at once; one more gets `PHANTOMDB_ERR_OVERLOADED`. Default
    /// 10000; 0 means that nobody ever waits.
    pub max_waiters: u32,
    /// One of `phantomdb_validation`. Default `PHANTOMDB_VALIDATION_SOCKET`.
    pub validation: i32,
    /// `http[s]://host[:port][/prefix]`. Default "http://localhost:8080".
    pub base_url: *const c_char,
    /// The bearer token; NULL, the default, sends none. Never shown in any message.
    pub token: *const c_char,
    /// A PEM file with the certificates that may sign the server's; NULL, the default, means
    /// those of the system. This and the files below are read again at a reset, and after a failure
    /// of TLS. The environment (SSL_CERT_FILE, SSL_CERT_DIR) says where the system's are, except to a
    /// program that is set-uid or has rights of its own otherwise.
    pub tls_ca_file: *const c_char,
    /// A PEM file with the client's certificate, for servers that want one. Default NULL.
    pub tls_cert_file: *const c_char,
    /// A PEM file with the private key of `tls_cert_file`. Default NULL.
    pub tls_key_file: *const c_char,
    /// How long `phantomdb_pool_acquire` waits, all its steps together. Default 30000; more
    /// than 0.
    pub acquire_timeout_ms: i64,
    /// After how long an unused connection above `min_connections` is closed. Default 60000;
    /// 0 means never.
    pub idle_timeout_ms: i64,
    /// After how long a connection is retired, less up to a tenth by chance. Default 1800000;
    /// 0 means never.
    pub max_lifetime_ms: i64,
    /// How long a connection may be idle and still be handed out without validation. Default
    /// 500; 0 means not at all.
    pub validate_after_ms: i64,
    /// How long a validation by ping may take. Default 1000; more than 0.
    pub validation_timeout_ms: i64,
    /// How long a request may take, opening the connection included. Default 30000; more than 0.
    pub request_timeout_ms: i64,
    /// How long opening a connection may take: name look-up, TCP and TLS together. Default
    /// 5000; more than 0.
    pub connect_timeout_ms: i64,
    /// How long `phantomdb_pool_close` waits for connections to be released before it cuts
    /// them. Default 5000; 0 means not at all.
    pub close_timeout_ms: i64,
    /// How large a response's body may be, in bytes. Default 67108864 (64 MiB); more than 0.
    pub max_response_bytes: u64,
    /// After how long a connection that was acquired and not released is reported to `log` and
    /// counted as leaked. Nothing is taken back. Default 0: never.
    pub leak_threshold_ms: i64,
    /// Called with what happens to the pool: leaked connections, the beginning and the end of an
    /// outage, a server that answers pings with 503. Default NULL: nobody is told.
    ///
    /// It is called on a thread of the library, one message at a time, with no lock held, and not
    /// any more when `phantomdb_pool_close` has returned. `level` is one of `phantomdb_log_level`;
    /// `message` is valid during the call. What waits (acquire, a request, close) is refused there
    /// with `PHANTOMDB_ERR_WOULD_DEADLOCK`.
    pub log:
        Option<unsafe extern "C" fn(level: i32, message: *const c_char, user_data: *mut c_void)>,
    /// Handed to `log` as it is. Default NULL.
    pub log_user_data: *mut c_void,
    /// 1 opens `min_connections` at create, in the background; 0, the default, opens each at
    /// its first request.
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
/// Pass `sizeof(phantomdb_pool_options)` as `struct_size`: it tells the library which version of
/// the struct the program was compiled with, so that each works with a newer other.
///
/// Errors: `PHANTOMDB_ERR_INVALID_ARGUMENT` for a NULL `options` or a size that no version had;
/// nothing is written then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_pool_options_init(
    options: *mut phantomdb_pool_options,
    struct_size: u32,
) -> i32 {
    // SAFETY: no error struct; the caller promises that `options` has `struct_size` bytes.
    unsafe { call_at_once(ptr::null_mut(), || structs::fill(options, struct_size, defaults())) }
}

fn defaults() -> phantomdb_pool_options {
    static BASE_URL: OnceLock<CString> = OnceLock::new();
    let options = Options::default();
    let base_url =
        BASE_URL.get_or_init(|| CString::new(options.base_url.as_str()).expect("a URL has no NUL"));
    phantomdb_pool_options {
        struct_size: size_of::<phantomdb_pool_options>() as u32,
        min_connections: options.min_connections,
        max_connections: options.max_connections,
        max_connecting: options.max_connecting,
        max_waiters: options.max_waiters,
        validation: match options.validation {
            Validation::Socket => phantomdb_validation::PHANTOMDB_VALIDATION_SOCKET,
            Validation::Ping => phantomdb_validation::PHANTOMDB_VALIDATION_PING,
            Validation::None => phantomdb_validation::PHANTOMDB_VALIDATION_NONE,
        } as i32,
        base_url: base_url.as_ptr(),
        token: ptr::null(),
        tls_ca_file: ptr::null(),
        tls_cert_file: ptr::null(),
        tls_key_file: ptr::null(),
        acquire_timeout_ms: to_ms(options.acquire_timeout),
        idle_timeout_ms: to_ms(options.idle_timeout),
        max_lifetime_ms: to_ms(options.max_lifetime),
        validate_after_ms: to_ms(options.validate_after),
        validation_timeout_ms: to_ms(options.validation_timeout),
        request_timeout_ms: to_ms(options.request_timeout),
        connect_timeout_ms: to_ms(options.connect_timeout),
        close_timeout_ms: to_ms(options.close_timeout),
        max_response_bytes: options.max_response_bytes,
        leak_threshold_ms: to_ms(options.leak_threshold),
        log: None,
        log_user_data: ptr::null_mut(),
        preconnect: i32::from(options.preconnect),
        reserved: 0,
    }
}

/// The core's options from a caller's struct; NULL means the defaults.
///
/// # Safety
/// `options` is NULL or a struct that `phantomdb_pool_options_init` filled, its texts NULL or
/// ended by a NUL.
pub(super) unsafe fn read(options: *const phantomdb_pool_options) -> Result<Options> {
    if options.is_null() {
        return Ok(Options::default());
    }
    // SAFETY: passed on to the caller, as are the texts below.
    let given = unsafe { structs::read(options, defaults()) }?;
    if given.reserved != 0 {
        return Err(Error::invalid_argument("reserved", "must be 0"));
    }
    // SAFETY: see above.
    let file =
        |name, path| unsafe { optional_text(name, path) }.map(|path| path.map(PathBuf::from));
    Ok(Options {
        // SAFETY: see above.
        base_url: unsafe { text("base_url", given.base_url) }?.to_owned(),
        // SAFETY: see above.
        token: unsafe { optional_text("token", given.token) }?.map(Secret::new),
        min_connections: given.min_connections,
        max_connections: given.max_connections,
        acquire_timeout: from_ms("acquire_timeout", given.acquire_timeout_ms)?,
        idle_timeout: from_ms("idle_timeout", given.idle_timeout_ms)?,
        max_lifetime: from_ms("max_lifetime", given.max_lifetime_ms)?,
        validate_after: from_ms("validate_after", given.validate_after_ms)?,
        validation: validation(given.validation)?,
        validation_timeout: from_ms("validation_timeout", given.validation_timeout_ms)?,
        max_waiters: given.max_waiters,
        max_connecting: given.max_connecting,
        request_timeout: from_ms("request_timeout", given.request_timeout_ms)?,
        connect_timeout: from_ms("connect_timeout", given.connect_timeout_ms)?,
        close_timeout: from_ms("close_timeout", given.close_timeout_ms)?,
        preconnect: flag("preconnect", given.preconnect)?,
        tls_ca_file: file("tls_ca_file", given.tls_ca_file)?,
        tls_cert_file: file("tls_cert_file", given.tls_cert_file)?,
        tls_key_file: file("tls_key_file", given.tls_key_file)?,
        max_response_bytes: given.max_response_bytes,
        leak_threshold: from_ms("leak_threshold", given.leak_threshold_ms)?,
        log: given.log.map(|log| logger(log, given.log_user_data)),
    })
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
        let message = CString::new(message.replace('\0', "?")).expect("it has no NUL any more");
        // SAFETY: the program gave this function for this purpose; the message ends with a NUL.
        unsafe { log(level as i32, message.as_ptr(), user_data.get()) };
    })
}

fn validation(number: i32) -> Result<Validation> {
    use phantomdb_validation::*;
    match number {
        n if n == PHANTOMDB_VALIDATION_SOCKET as i32 => Ok(Validation::Socket),
        n if n == PHANTOMDB_VALIDATION_PING as i32 => Ok(Validation::Ping),
        n if n == PHANTOMDB_VALIDATION_NONE as i32 => Ok(Validation::None),
        other => Err(Error::invalid_argument(
            "validation",
            format_args!("{other} is none of phantomdb_validation"),
        )),
    }
}

fn flag(name: &str, number: i32) -> Result<bool> {
    match number {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(Error::invalid_argument(name, format_args!("{other} is neither 0 nor 1"))),
    }
}

fn to_ms(duration: Duration) -> i64 {
    duration.as_millis() as i64
}

/// A time argument in milliseconds.
pub(super) fn from_ms(name: &str, ms: i64) -> Result<Duration> {
    u64::try_from(ms)
        .map(Duration::from_millis)
        .map_err(|_| Error::invalid_argument(name, format_args!("{ms} is negative")))
}
