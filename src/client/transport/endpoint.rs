//! Where the connections of a pool go.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, Cache};
use ureq_proto::http::{HeaderValue, Uri};

use crate::client::http::buffers::SpareBuffers;
use crate::client::http::request_head;
use crate::client::response::mask::Mask;
use crate::client::transport::resolve::Resolver;
use crate::client::transport::tls::Tls;
use crate::config::{self, Options, Secret};
use crate::error::{Error, Result};

const USER_AGENT: &str = concat!("libphantomdb/", env!("CARGO_PKG_VERSION"));

/// The server of a pool: URL, token, TLS settings, time-outs. Its connections share it by `Arc`;
/// any thread may use it.
#[derive(Debug)]
pub struct Endpoint {
    url: BaseUrl,
    pub(in crate::client) resolver: Resolver,
    pub(in crate::client) tls: Option<Tls>,
    /// Not behind a lock, which a forked child might inherit held.
    token: Arc<ArcSwap<AuthToken>>,
    pub(in crate::client) request_timeout: Duration,
    pub(in crate::client) connect_timeout: Duration,
    pub(in crate::client) max_response_bytes: u64,
    pub(in crate::client) spare_buffers: SpareBuffers,
}

/// What requests carry from now on, and what no text shows.
pub(in crate::client) struct AuthToken {
    /// What every request says after its target: ` HTTP/1.1`, then headers, each on a new line, and
    /// an empty line. The token is in one of them.
    pub(in crate::client) headers: Vec<u8>,
    pub(in crate::client) has_token: bool,
    /// Hides the token, and those that requests on their way may still carry.
    pub(in crate::client) mask: Mask,
}

/// What the last request of a connection carried.
pub(in crate::client) struct CarriedToken {
    /// Looks whether there is a newer one, in few instructions.
    newest: Cache<Arc<ArcSwap<AuthToken>>, Arc<AuthToken>>,
    carried: Arc<AuthToken>,
}

impl CarriedToken {
    /// The next request carries what is in use now.
    pub(in crate::client) fn renew(&mut self) {
        let newest = self.newest.load();
        if !Arc::ptr_eq(newest, &self.carried) {
            self.carried = Arc::clone(newest);
        }
    }
}

impl Deref for CarriedToken {
    type Target = AuthToken;

    fn deref(&self) -> &AuthToken {
        &self.carried
    }
}

impl fmt::Debug for AuthToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthToken").field("has_token", &self.has_token).finish_non_exhaustive()
    }
}

impl AuthToken {
    fn new(url: &BaseUrl, header: Option<&HeaderValue>, mask: Mask) -> AuthToken {
        let host = url.authority();
        let headers = format!(
            " HTTP/1.1\r\nhost: {host}\r\nuser-agent: {USER_AGENT}\r\naccept: */*\r\n\
             accept-encoding: identity"
        );
        let mut headers = headers.into_bytes();
        if let Some(token) = header {
            headers.extend([b"\r\nauthorization: ", token.as_bytes()].concat());
        }
        headers.extend(request_head::END);
        AuthToken { headers, has_token: header.is_some(), mask }
    }
}

impl Endpoint {
    /// Checks the URL, reads the TLS files. Nothing is sent, and no name looked up.
    ///
    /// # Errors
    ///
    /// `InvalidArgument`, with the name of the option, if one of them can't be used.
    pub fn new(options: &Options) -> Result<Endpoint> {
        let url = BaseUrl::parse(&options.base_url)
            .map_err(|why| Error::invalid_argument("base_url", why))?;
        let tls = if url.is_https {
            Some(Tls::new(&url.host, options)?)
        } else {
            for (name, file) in [
                ("tls_ca_file", &options.tls_ca_file),
                ("tls_cert_file", &options.tls_cert_file),
                ("tls_key_file", &options.tls_key_file),
            ] {
                if file.is_some() {
                    return Err(Error::invalid_argument(
                        name,
                        "can't be used with an http:// base_url; should that begin with https://?",
                    ));
                }
            }
            None
        };
        let token = AuthToken::new(&url, None, Mask::default());
        let endpoint = Endpoint {
            resolver: Resolver::new(&url.host, url.port),
            url,
            tls,
            token: Arc::new(ArcSwap::from_pointee(token)),
            request_timeout: options.request_timeout,
            connect_timeout: options.connect_timeout,
            max_response_bytes: options.max_response_bytes,
            spare_buffers: SpareBuffers::default(),
        };
        endpoint.set_token(options.token.clone())?;
        Ok(endpoint)
    }

    /// The same endpoint for a forked child, with nothing in it that a thread of the parent may
    /// have been at work on.
    #[must_use]
    pub fn reborn(&self) -> Endpoint {
        Endpoint {
            url: self.url.clone(),
            resolver: self.resolver.reborn(),
            tls: self.tls.as_ref().map(Tls::reborn),
            token: Arc::new(ArcSwap::new(self.token.load_full())),
            request_timeout: self.request_timeout,
            connect_timeout: self.connect_timeout,
            max_response_bytes: self.max_response_bytes,
            spare_buffers: SpareBuffers::default(),
        }
    }

    /// The base URL, for messages. It can't hold secrets: a URL with a password is refused.
    pub fn url(&self) -> &str {
        &self.url.text
    }

    /// Replaces the bearer token, or sends none any more; every connection's next request has it.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` if no HTTP header can carry it; the old one stays then.
    pub fn set_token(&self, token: Option<Secret>) -> Result<()> {
        let mask = &self.token.load().mask;
        let token = match token {
            None => AuthToken::new(&self.url, None, mask.clone()),
            Some(secret) => {
                config::check_token(&secret)?;
                let header = HeaderValue::from_str(&format!("Bearer {}", secret.expose()))
                    .map_err(|_| {
                        Error::invalid_argument("token", "can't be sent in an HTTP header")
                    })?;
                AuthToken::new(&self.url, Some(&header), mask.and_token(secret.expose()))
            }
        };
        self.token.store(Arc::new(token));
        Ok(())
    }

    /// What requests of one connection carry.
    pub(in crate::client) fn token(&self) -> CarriedToken {
        let newest = Cache::new(Arc::clone(&self.token));
        CarriedToken { newest, carried: self.token.load_full() }
    }

    /// Hides what requests carry now.
    pub(in crate::client) fn mask(&self) -> Mask {
        self.token.load().mask.clone()
    }

    /// TLS settings are read again from their files before the next dial.
    pub fn refresh_tls(&self) {
        if let Some(tls) = &self.tls {
            tls.expire();
        }
    }

    /// TLS failed on an open connection.
    pub(in crate::client) fn note_tls_failure(&self) {
        self.refresh_tls();
    }

    /// The address, where the URL names it: no look-up is needed then.
    pub(in crate::client) fn literal_address(&self) -> Option<SocketAddr> {
        let ip: IpAddr = self.url.host.parse().ok()?;
        Some(SocketAddr::new(ip, self.url.port))
    }

    /// Host and port, for messages.
    pub(in crate::client) fn host(&self) -> &str {
        &self.url.host
    }

    /// What goes before a target, to make the path and query of a request.
    pub(in crate::client) fn prefix(&self) -> &str {
        self.url.prefix()
    }

    /// Whether a target can stand in a request.
    pub(in crate::client) fn check_target(&self, target: &str) -> Result<()> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~%?=&".contains(&byte);
        // The library's own targets, and most others, need no closer look.
        if target.starts_with('/') && target.bytes().all(is_plain) {
            return Ok(());
        }
        Uri::try_from(format!("{}{target}", self.url.prefix())).map(drop).map_err(|error| {
            Error::invalid_argument("path", format_args!("does not form a valid URL: {error}"))
        })
    }
}

/// `http[s]://host[:port][/prefix]`, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
struct BaseUrl {
    text: String,
    /// Where in `text` what goes before every path begins.
    prefix_at: usize,
    is_https: bool,
    /// Without the brackets of an IPv6 address.
    host: String,
    port: u16,
}

impl BaseUrl {
    /// Host and port, as a Host header has them.
    fn authority(&self) -> &str {
        self.text[..self.prefix_at].split_once("://").map_or("", |(_, authority)| authority)
    }

    /// What goes before every path; empty or with a `/` at its beginning only.
    fn prefix(&self) -> &str {
        &self.text[self.prefix_at..]
    }

    /// The error never repeats the URL: what is wrong with it may be that it holds a password.
    fn parse(url: &str) -> std::result::Result<BaseUrl, String> {
        if url.is_empty() {
            return Err("is empty".to_owned());
        }
        if let Some(bad) = url.chars().find(|c| !c.is_ascii_graphic()) {
            return Err(if bad.is_ascii() {
                "holds a space or a control character".to_owned()
            } else {
                "holds a non-ASCII character; write the host as xn--..., and the path percent-encoded"
                    .to_owned()
            });
        }
        let Some((scheme, rest)) = url.split_once("://") else {
            return Err("must begin with http:// or https://".to_owned());
        };
        let (is_https, default_port) = match scheme.to_ascii_lowercase().as_str() {
            "http" => (false, 80),
            "https" => (true, 443),
            _ => return Err("the scheme must be http or https".to_owned()),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('@') {
            return Err("must not hold a user name or password; set the option `token`".to_owned());
        }
        if path.contains(['?', '#']) {
            return Err("must not hold a query (`?`) or a fragment (`#`)".to_owned());
        }
        let (host, port) = split_port(authority)?;
        let port = match port {
            None | Some("") => default_port,
            Some(port) => match port.parse::<u16>() {
                Ok(number) if number > 0 && !port.starts_with('+') => number,
                _ => return Err("the port must be a number from 1 to 65535".to_owned()),
            },
        };
        let path = path.trim_end_matches('/');
        let shown_host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        let shown_port = if port == default_port { String::new() } else { format!(":{port}") };
        let scheme = if is_https { "https" } else { "http" };
        let text = format!("{scheme}://{shown_host}{shown_port}{path}");
        if text.len() > 2000 {
            return Err("is longer than 2000 characters".to_owned());
        }
        if Uri::try_from(text.as_str()).is_err() {
            return Err("is not a valid URL".to_owned());
        }
        let prefix_at = text.len() - path.len();
        Ok(BaseUrl { text, prefix_at, is_https, host, port })
    }
}

/// The host in lower case, and what stands after the colon that follows it.
fn split_port(authority: &str) -> std::result::Result<(String, Option<&str>), String> {
    if let Some(rest) = authority.strip_prefix('[') {
        let Some((host, after)) = rest.split_once(']') else {
            return Err("the `[` of an IPv6 address has no `]`".to_owned());
        };
        let address: Ipv6Addr =
            host.parse().map_err(|_| "the text in `[]` is not a valid IPv6 address".to_owned())?;
        let port = match after {
            "" => None,
            after => Some(after.strip_prefix(':').ok_or("the `]` must be followed by `:port`")?),
        };
        return Ok((address.to_string(), port));
    }
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    if host.is_empty() {
        return Err("has no host".to_owned());
    }
    if !host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_')) {
        return Err("the host contains a character that a host name can't have".to_owned());
    }
    Ok((host.to_ascii_lowercase(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> (String, String, u16) {
        let url = BaseUrl::parse(url).unwrap();
        (url.text, url.host, url.port)
    }

    #[test]
    fn urls_are_taken_apart_and_made_uniform() {
        let own = |text: &str, host: &str, port| (text.to_owned(), host.to_owned(), port);
        assert_eq!(
            parsed("http://localhost:8080"),
            own("http://localhost:8080", "localhost", 8080)
        );
        assert_eq!(parsed("HTTP://Host"), own("http://host", "host", 80));
        assert_eq!(parsed("https://h:443/db//"), own("https://h/db", "h", 443));
        assert_eq!(parsed("https://h:/"), own("https://h", "h", 443));
        assert_eq!(parsed("http://[::1]:81/a/b"), own("http://[::1]:81/a/b", "::1", 81));
        assert_eq!(parsed("http://127.0.0.1:1"), own("http://127.0.0.1:1", "127.0.0.1", 1));
        let url = BaseUrl::parse("https://[::1]:81/a/b/").unwrap();
        assert_eq!((url.authority(), url.prefix()), ("[::1]:81", "/a/b"));
        let url = BaseUrl::parse("https://h:443").unwrap();
        assert_eq!((url.authority(), url.prefix()), ("h", ""));
    }

    #[test]
    fn other_urls_are_refused_without_repeating_them() {
        for (url, why) in [
            ("", "is empty"),
            ("localhost:8080", "must begin with http"),
            ("ftp://hush", "the scheme must be"),
            ("http://", "has no host"),
            ("http://:80", "has no host"),
            ("http:///hush", "has no host"),
            ("http://u:hush@h", "set the option `token`"),
            ("http://hush@h:1/x", "set the option `token`"),
            ("http://h?hush", "query"),
            ("http://h/x#hush", "query"),
            ("http://h:0", "the port"),
            ("http://h:65536", "the port"),
            ("http://h:+1", "the port"),
            ("http://h:hush", "the port"),
            ("http://h:1:hush", "the port"),
            ("http://hush h", "a space"),
            ("http://h/\r\nhush", "control character"),
            ("http://hüsh", "non-ASCII"),
            ("http://[hush]", "IPv6"),
            ("http://[::1", "IPv6"),
            ("http://[::1]hush", "must be followed"),
            ("http://hu%sh", "the host contains"),
        ] {
            let error = BaseUrl::parse(url).unwrap_err();
            assert!(error.contains(why), "{url:?}: {error}");
            assert!(!error.contains("hush"), "{url:?}: {error}");
        }
    }

    #[test]
    fn the_error_names_the_option() {
        let refused = |change: fn(&mut Options)| {
            let mut options = Options::default();
            change(&mut options);
            Endpoint::new(&options).unwrap_err().message().to_owned()
        };
        assert!(refused(|o| o.base_url = "x".into()).starts_with("base_url: "));
        assert!(refused(|o| o.token = Some(Secret::new("a\nb"))).starts_with("token: "));
        assert!(refused(|o| o.tls_ca_file = Some("/x".into())).contains("http://"));
        let https = |change: fn(&mut Options)| {
            let mut options = Options { base_url: "https://h".into(), ..Options::default() };
            change(&mut options);
            Endpoint::new(&options).unwrap_err().message().to_owned()
        };
        let missing = https(|o| o.tls_ca_file = Some("/no/such".into()));
        assert!(missing.starts_with("tls_ca_file: /no/such: can't be read"), "{missing}");
        let empty = https(|o| o.tls_ca_file = Some("/dev/null".into()));
        assert!(empty.starts_with("tls_ca_file: /dev/null: holds no certificate"), "{empty}");
    }

    #[test]
    fn a_token_can_be_rotated_and_is_never_shown() {
        let options = Options { token: Some(Secret::new("hush1")), ..Options::default() };
        let endpoint = Endpoint::new(&options).unwrap();
        let mut token = endpoint.token();
        let mut carried = || {
            token.renew();
            String::from_utf8(token.headers.clone()).unwrap()
        };
        assert!(carried().ends_with("\r\nauthorization: Bearer hush1\r\n\r\n"));
        assert!(endpoint.set_token(Some(Secret::new("a b"))).is_err());
        assert!(carried().ends_with("\r\nauthorization: Bearer hush1\r\n\r\n"));
        assert_eq!(endpoint.mask().excerpt(b"no hush1 here"), "no [token] here");
        endpoint.set_token(Some(Secret::new("second2"))).unwrap();
        assert!(carried().ends_with("\r\nauthorization: Bearer second2\r\n\r\n"));
        assert_eq!(endpoint.mask().excerpt(b"no hush1, no second2"), "no [token], no [token]");
        let debug = format!("{endpoint:?} {:?}", endpoint.token.load());
        assert!(!debug.contains("hush1") && !debug.contains("second2"), "{debug}");
        endpoint.set_token(None).unwrap();
        assert!(!carried().contains("authorization"));
        assert_eq!(endpoint.mask().excerpt(b"no second2 here"), "no [token] here");
    }
}
