//! The options of a pool, their defaults and their checks.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, Result};

/// How an idle connection is checked before it is handed out; see [`Options::validation`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Validation {
    /// Ask the operating system whether the socket is still open: one system call, no round trip.
    #[default]
    Socket,
    /// Ask the server (`GET /health`): a round trip.
    Ping,
    /// Don't check.
    None,
}

/// A secret that no message, log or `Debug` output shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps the secret.
    pub fn new(text: impl Into<String>) -> Self {
        Secret(text.into())
    }

    /// The secret itself, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// How much a log message matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Good to know.
    Info,
    /// Something is wrong, and the pool deals with it.
    Warning,
}

/// Where a pool tells what happens to it: leaked leases, the beginning and the end of an outage.
///
/// It is called on a thread of the pool, one message at a time, with no lock held. What
/// waits (acquire, a request, close) is refused there with `WouldDeadlock`.
#[derive(Clone)]
pub struct Logger(Arc<Log>);

type Log = dyn Fn(LogLevel, &str) + Send + Sync;

impl Logger {
    /// Messages go to `log`.
    pub fn new(log: impl Fn(LogLevel, &str) + Send + Sync + 'static) -> Self {
        Logger(Arc::new(log))
    }

    pub(crate) fn log(&self, level: LogLevel, message: &str) {
        (self.0)(level, message);
    }
}

impl fmt::Debug for Logger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Logger")
    }
}

impl PartialEq for Logger {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Logger {}

/// Everything that can be set on a pool.
///
/// `Options::default()` is a pool of 2 to 10 connections to `http://localhost:8080`.
///
/// ```
/// use std::time::Duration;
/// let options = phantomdb::Options {
///     base_url: "http://localhost:8080".into(),
///     max_connections: 20,
///     acquire_timeout: Duration::from_secs(5),
///     ..phantomdb::Options::default()
/// };
/// options.check().unwrap();
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// `http[s]://host[:port][/prefix]`.
    pub base_url: String,
    /// The bearer token; `None` sends none.
    pub token: Option<Secret>,
    /// Connections that the pool keeps, even when nobody uses them.
    pub min_connections: u32,
    /// Connections that the pool never exceeds, as the server counts them.
    pub max_connections: u32,
    /// How long an acquire waits, all its steps together.
    pub acquire_timeout: Duration,
    /// After how long an unused connection above the minimum is closed; zero: never.
    pub idle_timeout: Duration,
    /// After how long a connection is retired (less up to 10 %, by chance); zero: never.
    pub max_lifetime: Duration,
    /// How long a connection may be idle and still be handed out without validation.
    pub validate_after: Duration,
    /// How an idle connection is checked before it is handed out.
    pub validation: Validation,
    /// How long a validation by ping may take.
    pub validation_timeout: Duration,
    /// How many callers may wait for a connection at once.
    pub max_waiters: u32,
    /// How many connections may be opening at once.
    pub max_connecting: u32,
    /// After how long an acquired connection counts as leaked and is reported; zero: never.
    pub leak_threshold: Duration,
    /// How long a request may take, connecting included.
    pub request_timeout: Duration,
    /// How long opening a connection may take: name look-up, TCP and TLS together.
    pub connect_timeout: Duration,
    /// How long close waits for acquired connections to come back before it cuts them.
    pub close_timeout: Duration,
    /// Open `min_connections` at create, in the background, instead of at first use.
    pub preconnect: bool,
    /// A PEM file with the certificates that may sign the server's; `None`: the system's. This and
    /// the files below are read again at a reset, and after a failure of TLS.
    pub tls_ca_file: Option<PathBuf>,
    /// A PEM file with the client's certificate; goes with `tls_key_file`.
    pub tls_cert_file: Option<PathBuf>,
    /// A PEM file with the client's private key; goes with `tls_cert_file`.
    pub tls_key_file: Option<PathBuf>,
    /// How large a response's body may be.
    pub max_response_bytes: u64,
    /// Where the pool tells what happens to it; `None`: nowhere.
    pub log: Option<Logger>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            base_url: "http://localhost:8080".to_owned(),
            token: None,
            min_connections: 2,
            max_connections: 10,
            acquire_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(60),
            max_lifetime: Duration::from_secs(30 * 60),
            validate_after: Duration::from_millis(500),
            validation: Validation::Socket,
            validation_timeout: Duration::from_secs(1),
            max_waiters: 10_000,
            max_connecting: 2,
            leak_threshold: Duration::ZERO,
            request_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(5),
            close_timeout: Duration::from_secs(5),
            preconnect: false,
            tls_ca_file: None,
            tls_cert_file: None,
            tls_key_file: None,
            max_response_bytes: 64 * 1024 * 1024,
            log: None,
        }
    }
}

/// The most connections that one pool can hold.
pub const MAX_CONNECTIONS_LIMIT: u32 = 65_535;
/// The longest time that an option can name: one year of 365 days.
pub const MAX_DURATION: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The values that an option may have which is a number or a time.
pub(crate) struct Range {
    /// The option's name.
    pub name: &'static str,
    pub values: RangeValues,
}

pub(crate) enum RangeValues {
    Count {
        least: u32,
        most: u32,
        get: fn(&Options) -> u32,
    },
    Size {
        least: u64,
        most: u64,
        get: fn(&Options) -> u64,
    },
    /// At most [`MAX_DURATION`].
    Time {
        may_be_zero: bool,
        get: fn(&Options) -> Duration,
    },
}

/// Every option that is a number or a time.
pub(crate) const RANGES: [Range; 14] = [
    Range::count("min_connections", 0, MAX_CONNECTIONS_LIMIT, |options| options.min_connections),
    Range::count("max_connections", 1, MAX_CONNECTIONS_LIMIT, |options| options.max_connections),
    Range::count("max_connecting", 1, MAX_CONNECTIONS_LIMIT, |options| options.max_connecting),
    Range::count("max_waiters", 0, u32::MAX, |options| options.max_waiters),
    Range::size("max_response_bytes", 1, i64::MAX as u64, |options| options.max_response_bytes),
    Range::positive_time("acquire_timeout", |options| options.acquire_timeout),
    Range::positive_time("request_timeout", |options| options.request_timeout),
    Range::positive_time("connect_timeout", |options| options.connect_timeout),
    Range::positive_time("validation_timeout", |options| options.validation_timeout),
    Range::time("idle_timeout", |options| options.idle_timeout),
    Range::time("max_lifetime", |options| options.max_lifetime),
    Range::time("validate_after", |options| options.validate_after),
    Range::time("close_timeout", |options| options.close_timeout),
    Range::time("leak_threshold", |options| options.leak_threshold),
];

impl Range {
    const fn count(name: &'static str, least: u32, most: u32, get: fn(&Options) -> u32) -> Range {
        Range { name, values: RangeValues::Count { least, most, get } }
    }

    const fn size(name: &'static str, least: u64, most: u64, get: fn(&Options) -> u64) -> Range {
        Range { name, values: RangeValues::Size { least, most, get } }
    }

    const fn positive_time(name: &'static str, get: fn(&Options) -> Duration) -> Range {
        Range { name, values: RangeValues::Time { may_be_zero: false, get } }
    }

    const fn time(name: &'static str, get: fn(&Options) -> Duration) -> Range {
        Range { name, values: RangeValues::Time { may_be_zero: true, get } }
    }

    fn check(&self, options: &Options) -> Result<()> {
        match self.values {
            RangeValues::Count { least, most, get } => {
                in_range(self.name, get(options), least, most)
            }
            RangeValues::Size { least, most, get } => {
                in_range(self.name, get(options), least, most)
            }
            RangeValues::Time { may_be_zero, get } => {
                check_time(self.name, get(options), may_be_zero)
            }
        }
    }
}

impl Options {
    /// Says whether these options make sense together; the error names the first that doesn't.
    ///
    /// The URL and the TLS files are looked at by [`crate::Pool::new`], which calls this first.
    pub fn check(&self) -> Result<()> {
        check_size(self.min_connections, self.max_connections)?;
        self.check_ranges()?;
        self.check_token()?;
        self.check_tls()
    }

    fn check_ranges(&self) -> Result<()> {
        RANGES.iter().try_for_each(|range| range.check(self))
    }

    fn check_token(&self) -> Result<()> {
        let Some(token) = &self.token else { return Ok(()) };
        check_token(token)
    }

    fn check_tls(&self) -> Result<()> {
        match (&self.tls_cert_file, &self.tls_key_file) {
            (Some(_), None) => Err(Error::invalid_argument(
                "tls_cert_file",
                "needs tls_key_file, the private key of this certificate",
            )),
            (None, Some(_)) => Err(Error::invalid_argument(
                "tls_key_file",
                "needs tls_cert_file, the certificate of this private key",
            )),
            _ => Ok(()),
        }
    }
}

/// Says whether a pool can have these limits.
pub(crate) fn check_size(min: u32, max: u32) -> Result<()> {
    in_range("max_connections", max, 1, MAX_CONNECTIONS_LIMIT)?;
    if min > max {
        let why = format!("{min} is more than max_connections ({max})");
        return Err(Error::invalid_argument("min_connections", why));
    }
    Ok(())
}

/// Says whether a token can be sent in an HTTP header; never shows it.
pub(crate) fn check_token(token: &Secret) -> Result<()> {
    if token.expose().is_empty() {
        return Err(Error::invalid_argument("token", "is empty; omit it to send no token"));
    }
    if !token.expose().bytes().all(|byte| (0x21..=0x7e).contains(&byte)) {
        return Err(Error::invalid_argument(
            "token",
            "contains a space, a line break, a control character or a non-ASCII character, \
             which an HTTP header can't carry",
        ));
    }
    Ok(())
}

fn check_time(name: &str, value: Duration, may_be_zero: bool) -> Result<()> {
    if value.is_zero() && !may_be_zero {
        return Err(Error::invalid_argument(name, "must be more than zero"));
    }
    if value > MAX_DURATION {
        return Err(Error::invalid_argument(name, "must be at most 365 days"));
    }
    Ok(())
}

fn in_range<T: PartialOrd + fmt::Display>(name: &str, value: T, least: T, most: T) -> Result<()> {
    if value < least || value > most {
        return Err(Error::invalid_argument(
            name,
            format_args!("{value} is not between {least} and {most}"),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut Options)) -> String {
        let mut options = Options::default();
        change(&mut options);
        options.check().expect_err("these options make no sense").message().to_owned()
    }

    #[test]
    fn defaults_make_sense() {
        Options::default().check().unwrap();
    }

    #[test]
    fn each_senseless_option_is_named() {
        assert!(refused(|o| o.max_connections = 0).starts_with("max_connections: 0 is not"));
        assert!(refused(|o| o.max_connections = 70_000).starts_with("max_connections:"));
        assert!(refused(|o| o.min_connections = 11).starts_with("min_connections: 11 is more"));
        assert!(refused(|o| o.max_connecting = 0).starts_with("max_connecting:"));
        assert!(refused(|o| o.max_response_bytes = 0).starts_with("max_response_bytes:"));
        assert!(refused(|o| o.acquire_timeout = Duration::ZERO).starts_with("acquire_timeout:"));
        assert!(refused(|o| o.request_timeout = Duration::ZERO).starts_with("request_timeout:"));
        assert!(refused(|o| o.connect_timeout = Duration::ZERO).starts_with("connect_timeout:"));
        assert!(
            refused(|o| o.validation_timeout = Duration::ZERO).starts_with("validation_timeout:")
        );
        let too_long = MAX_DURATION + Duration::from_millis(1);
        assert!(refused(|o| o.idle_timeout = too_long).starts_with("idle_timeout:"));
        assert!(refused(|o| o.max_lifetime = too_long).starts_with("max_lifetime:"));
        assert!(refused(|o| o.close_timeout = too_long).starts_with("close_timeout:"));
        assert!(refused(|o| o.tls_key_file = Some("k".into())).starts_with("tls_key_file:"));
        assert!(refused(|o| o.tls_cert_file = Some("c".into())).starts_with("tls_cert_file:"));
    }

    #[test]
    fn a_token_that_breaks_the_header_is_refused_and_not_shown() {
        for bad in ["hush\nhush", "hush hush", "hush\r", "hüsh", ""] {
            let message = refused(|o| o.token = Some(Secret::new(bad)));
            assert!(message.starts_with("token:"), "{message}");
            assert!(!message.contains("hush"), "{message}");
        }
    }

    #[test]
    fn debug_output_hides_the_token() {
        let options = Options { token: Some(Secret::new("hush")), ..Options::default() };
        assert!(!format!("{options:?}").contains("hush"));
    }
}
