//! What a web page in somebody's browser must not do: reach the server under a name of its own
//! (DNS rebinding), or make the browser send requests to it.

use crate::error::{Error, Kind, Result};
use axum::http::{HeaderMap, HeaderName, Uri, header};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The names under which the server is asked for.
#[derive(Debug)]
pub struct Names {
    allowed: Vec<Host>,
    https: bool,
}

/// A host as it stands in an authority.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    /// An address, which no name server can turn into another one.
    Address(IpAddr),
    /// A name in lower case, without the dot of the root.
    Name(String),
}

/// A host and the port that it was given with.
#[derive(Debug, PartialEq, Eq)]
struct Authority {
    host: Host,
    port: Option<u16>,
}

impl Names {
    /// Takes the names that the user gives, besides `localhost`; addresses are allowed anyway.
    pub fn new<'n>(given: impl IntoIterator<Item = &'n str>, https: bool) -> Self {
        let known = |name: &str| Authority::parse(name).map(|authority| authority.host);
        let mut allowed = vec![Host::Name("localhost".into())];
        allowed.extend(given.into_iter().filter_map(known));
        Self { allowed, https }
    }

    /// Refuses a request whose head shows that it should not be here.
    pub fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<()> {
        let host = self.host(uri, headers)?;
        self.site(headers)?;
        match one(headers, &header::ORIGIN)? {
            Some(origin) if self.is_own(origin, &host) => Ok(()),
            Some(_) => Err(foreign("the Origin of the request is not this server")),
            // Browsers that send neither header above tell at least this one.
            None if !headers.contains_key(SEC_FETCH_SITE) => {
                match one(headers, &header::REFERER)? {
                    Some(referer) if !self.is_own(referer, &host) => {
                        Err(foreign("the Referer of the request is not this server"))
                    }
                    _ => Ok(()),
                }
            }
            None => Ok(()),
        }
    }

    fn host(&self, uri: &Uri, headers: &HeaderMap) -> Result<Authority> {
        let given = one(headers, &header::HOST)?
            .ok_or_else(|| Error::bad_request("the request has no Host"))?;
        let host = Authority::parse(given)
            .ok_or_else(|| Error::bad_request("the Host of the request is malformed"))?;
        if let Some(target) = uri.authority() {
            let https = uri.scheme_str().map_or(self.https, |scheme| scheme == "https");
            let same = Authority::parse(target.as_str()).is_some_and(|target| {
                target.host == host.host && target.port_of(https) == host.port_of(https)
            });
            if !same {
                return Err(Error::bad_request(
                    "the Host header and the URL of the request name different hosts",
                ));
            }
        }
        let allowed = matches!(host.host, Host::Address(_)) || self.allowed.contains(&host.host);
        if !allowed {
            let message = format!(
                "this server is not known as {given:?}: use its address or localhost, or start it with --allow-host"
            );
            return Err(Error::new(Kind::HostNotAllowed, message));
        }
        Ok(host)
    }

    /// Browsers tell where a request comes from, also where a page needs no leave to send it.
    fn site(&self, headers: &HeaderMap) -> Result<()> {
        match one(headers, &SEC_FETCH_SITE)? {
            None => Ok(()),
            Some(site)
                if ["same-origin", "none"].iter().any(|own| site.eq_ignore_ascii_case(own)) =>
            {
                Ok(())
            }
            Some(_) => Err(foreign("a page of another site sent the request")),
        }
    }

    /// Whether a URL, or an origin, is of this server as the request names it.
    fn is_own(&self, url: &str, host: &Authority) -> bool {
        let Some((scheme, rest)) = url.split_once("://") else { return false };
        let https = scheme.eq_ignore_ascii_case("https");
        if https != self.https || !https && !scheme.eq_ignore_ascii_case("http") {
            return false;
        }
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        Authority::parse(authority).is_some_and(|origin| {
            origin.host == host.host && origin.port_of(https) == host.port_of(https)
        })
    }
}

impl Authority {
    fn parse(text: &str) -> Option<Self> {
        let (host, rest) = if let Some(inner) = text.strip_prefix('[') {
            let (address, rest) = inner.split_once(']')?;
            (Host::Address(IpAddr::V6(address.parse::<Ipv6Addr>().ok()?)), rest)
        } else {
            let end = text.find(':').unwrap_or(text.len());
            let (host, rest) = text.split_at(end);
            let host = host.strip_suffix('.').unwrap_or(host);
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            let empty_label = host.split('.').any(str::is_empty);
            if empty_label || host.len() > 253 || !host.bytes().all(fits) {
                return None;
            }
            let host = match host.parse::<Ipv4Addr>() {
                Ok(address) => Host::Address(IpAddr::V4(address)),
                Err(_) => Host::Name(host.to_ascii_lowercase()),
            };
            (host, rest)
        };
        let port = match rest.strip_prefix(':') {
            None if rest.is_empty() => None,
            None => return None,
            Some("") => None,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(digits.parse().ok()?)
            }
            Some(_) => return None,
        };
        Some(Self { host, port })
    }

    fn port_of(&self, https: bool) -> u16 {
        self.port.unwrap_or(if https { 443 } else { 80 })
    }
}

/// The value of a header that stands there once at most.
fn one<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(Error::bad_request(format!("the request has more than one {name} header")));
    }
    first
        .map(|value| {
            value.to_str().map_err(|_| {
                Error::bad_request(format!("the {name} header is not visible ASCII text"))
            })
        })
        .transpose()
}

fn foreign(what: &str) -> Error {
    Error::new(Kind::CrossSite, format!("{what}: this server is for programs, not for web pages"))
}

/// The host in a URL's spelling, for a name that the user gives.
pub fn is_host(text: &str) -> bool {
    Authority::parse(text).is_some_and(|authority| authority.port.is_none()) && !text.ends_with(':')
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn verdict(uri: &str, headers: &[(&'static str, &'static str)]) -> u16 {
        let names = Names::new(["db.internal", "2001:db8::1"], false);
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        match names.check(&uri.parse().unwrap(), &map) {
            Ok(()) => 200,
            Err(error) if error.kind == Kind::BadRequest => 400,
            Err(error) => {
                assert!([Kind::HostNotAllowed, Kind::CrossSite].contains(&error.kind));
                403
            }
        }
    }

    #[test]
    fn a_host_is_an_address_localhost_or_a_given_name() {
        for (host, expected) in [
            ("localhost", 200),
            ("LocalHost:8080", 200),
            ("localhost.", 200),
            ("localhost.:80", 200),
            ("localhost:", 200),
            ("127.0.0.1", 200),
            ("127.0.0.1.:1", 200),
            ("10.1.2.3:65535", 200),
            ("[::1]", 200),
            ("[::1]:8080", 200),
            ("[2001:DB8::1]:8080", 200),
            ("DB.internal:8080", 200),
            ("db.internal.", 200),
            ("evil.example", 403),
            ("localhost.evil.example", 403),
            ("127.0.0.1.evil.example", 403),
            ("evil.example:8080", 403),
            ("xlocalhost", 403),
            ("internal", 403),
            ("2130706433", 403),
            ("0x7f.1", 403),
            ("localhost..", 400),
            (".localhost", 400),
            ("localhost:65536", 400),
            ("localhost:80:80", 400),
            ("localhost:+80", 400),
            ("localhost:80 ", 400),
            ("user@localhost", 400),
            ("localhost/x", 400),
            ("localhost, evil.example", 400),
            ("loc%61lhost", 400),
            ("::1", 400),
            ("[::1", 400),
            ("[::1]x", 400),
            ("[localhost]", 400),
            ("[fe80::1%25eth0]", 400),
            ("", 400),
            (".", 400),
            ("http://localhost", 400),
        ] {
            assert_eq!(verdict("/databases", &[("host", host)]), expected, "{host:?}");
        }
        assert_eq!(verdict("/", &[]), 400);
        assert_eq!(verdict("/", &[("host", "localhost"), ("host", "localhost")]), 400);
        assert_eq!(verdict("/", &[("host", "localhost"), ("host", "evil.example")]), 400);
    }

    #[test]
    fn the_url_of_a_request_agrees_with_its_host() {
        for (url, host, expected) in [
            ("http://localhost/", "localhost", 200),
            ("http://LOCALHOST:80/", "localhost", 200),
            ("http://localhost.:8080/", "localhost:8080", 200),
            ("http://[::1]:8080/", "[0::1]:8080", 200),
            ("http://localhost:8080/", "localhost", 400),
            ("http://127.0.0.1/", "localhost", 400),
            ("http://evil.example/", "localhost", 400),
            ("http://user@localhost/", "localhost", 400),
            ("http://evil.example/", "evil.example", 403),
            ("localhost:80", "evil.example", 400),
        ] {
            assert_eq!(verdict(url, &[("host", host)]), expected, "{url} {host}");
        }
    }

    #[test]
    fn what_a_page_of_another_origin_sends_is_refused() {
        let host = ("host", "localhost:8080");
        for (header, value, expected) in [
            ("origin", "http://localhost:8080", 200),
            ("origin", "http://LOCALHOST.:8080", 200),
            ("origin", "http://localhost:3000", 403),
            ("origin", "http://localhost", 403),
            ("origin", "https://localhost:8080", 403),
            ("origin", "http://127.0.0.1:8080", 403),
            ("origin", "http://evil.example", 403),
            ("origin", "http://localhost:8080@evil.example", 403),
            ("origin", "null", 403),
            ("origin", "", 403),
            ("origin", "file://", 403),
            ("sec-fetch-site", "same-origin", 200),
            ("sec-fetch-site", "none", 200),
            ("sec-fetch-site", "same-site", 403),
            ("sec-fetch-site", "cross-site", 403),
            ("sec-fetch-site", "Cross-Site", 403),
            ("sec-fetch-site", "unheard-of", 403),
            ("sec-fetch-site", "", 403),
            ("sec-fetch-mode", "no-cors", 200),
            ("referer", "http://localhost:8080/databases?x#y", 200),
            ("referer", "http://evil.example/localhost:8080", 403),
        ] {
            assert_eq!(verdict("/", &[host, (header, value)]), expected, "{header}: {value}");
        }
        let own = ("origin", "http://localhost:8080");
        assert_eq!(verdict("/", &[host, own, ("sec-fetch-site", "cross-site")]), 403);
        assert_eq!(verdict("/", &[host, own, own]), 400);
        let none = ("sec-fetch-site", "none");
        assert_eq!(verdict("/", &[host, none, ("sec-fetch-site", "cross-site")]), 400);
    }
}
