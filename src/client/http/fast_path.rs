//! The fast path of a response's head: what nearly every response has, in few instructions and no
//! allocations.
//!
//! A success of HTTP/1.1 that says how long its body is and keeps the connection takes it. If it is
//! also written as most are, it is not even parsed, but only looked through ([`common`]). Any
//! other response is ureq-proto's to understand; see `exchange`.

use std::time::Duration;

use httparse::{EMPTY_HEADER, Response, Status};
use ureq_proto::http::{Method, StatusCode};

use crate::client::http::framing::has_regular_lines;

/// A response with more headers does not take the fast path.
const MAX_HEADERS: usize = 32;

/// What the beginning of a response is.
pub(in crate::client) enum Beginning {
    /// A head that takes the fast path.
    FastHead(FastHead),
    /// It may take the fast path, as far as it has come.
    Incomplete,
    Slow,
}

/// A head that takes the fast path.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::client) struct FastHead {
    pub(in crate::client) status: StatusCode,
    /// How many bytes the head has.
    pub(in crate::client) size: usize,
    pub(in crate::client) body: u64,
    pub(in crate::client) is_json: Option<bool>,
    pub(in crate::client) keep_alive: Option<Duration>,
}

/// Looks at the beginning of the response to a request of this method.
pub(in crate::client) fn look(method: &Method, input: &[u8]) -> Beginning {
    match common(method, input) {
        Some(head) => Beginning::FastHead(head),
        None => parse(method, input),
    }
}

/// A complete head without tabs, bytes that are not ASCII, or rare characters in names: what
/// [`parse`] makes of it too.
#[inline]
fn common(method: &Method, input: &[u8]) -> Option<FastHead> {
    let Some(&[tens, units, b' ']) = input.strip_prefix(b"HTTP/1.1 2")?.first_chunk() else {
        return None;
    };
    if !tens.is_ascii_digit() || !units.is_ascii_digit() || *method == Method::HEAD {
        return None;
    }
    let code = 200 + u16::from(tens - b'0') * 10 + u16::from(units - b'0');
    let status = StatusCode::from_u16(code).ok().filter(|_| code != 204)?;
    let mut fields = Fields::default();
    let mut rest = after_line(input)?.1;
    for _ in 0..=MAX_HEADERS {
        if let Some(body) = rest.strip_prefix(b"\r\n") {
            let size = input.len() - body.len();
            return fields.head(status, size);
        }
        if let Some(next) = fields.add_common(rest) {
            rest = next;
            continue;
        }
        let (line, next) = after_line(rest)?;
        let length = line.iter().take_while(|byte| IS_OF_NAME[usize::from(**byte)]).count();
        let (name, value) = line.split_at(length);
        if name.is_empty() || value.first() != Some(&b':') {
            return None;
        }
        fields.add(name, value[1..].trim_ascii())?;
        rest = next;
    }
    None
}

/// Whether a text that holds no control characters is this one, whatever its case. The
/// other may hold small letters, digits, `-` and `_`, and at least four characters.
#[inline(always)]
fn is_same<const N: usize>(text: &[u8; N], other: &[u8; N]) -> bool {
    // With this bit set, a character is the same as one in `other` only if they differ in case alone. (The
    // others that it makes the same are control characters, or not in `other`.)
    let both = |at: usize| {
        if N < 8 {
            let part = |bytes: &[u8; N]| {
                let four = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
                u64::from(u32::from_le_bytes(four) | 0x2020_2020)
            };
            return part(text) ^ part(other);
        }
        let part = |bytes: &[u8; N]| {
            let mut eight = [0; 8];
            eight.copy_from_slice(&bytes[at..at + 8]);
            u64::from_le_bytes(eight) | 0x2020_2020_2020_2020
        };
        part(text) ^ part(other)
    };
    let width = if N < 8 { 4 } else { 8 };
    let middle = if N > 2 * width { both(width) } else { 0 };
    both(0) | middle | both(N - width) == 0
}

/// The characters of the names of headers that are in use.
const IS_OF_NAME: [bool; 256] = {
    let mut is_of_name = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        is_of_name[byte] =
            (byte as u8).is_ascii_alphanumeric() || matches!(byte as u8, b'-' | b'_');
        byte += 1;
    }
    is_of_name
};

/// The first line and what comes after it, if the line is printable ASCII and ends with CR LF.
fn after_line(input: &[u8]) -> Option<(&[u8], &[u8])> {
    /// The same byte eight times.
    const fn each(byte: u8) -> u64 {
        u64::from_ne_bytes([byte; 8])
    }
    let mut at = 0;
    let end = loop {
        let Some(bytes) = input[at..].first_chunk() else {
            let is_printable = |byte: &u8| matches!(byte, b' '..=b'~');
            break at + input[at..].iter().position(|byte| !is_printable(byte))?;
        };
        let word = u64::from_le_bytes(*bytes);
        // The highest bit of each byte that is not printable. Those after the first may be wrong,
        // because a byte may borrow from the next or carry into it.
        let below = word.wrapping_sub(each(b' ')) & !word;
        let above = word.wrapping_add(each(1)) | word;
        let found = (below | above) & each(0x80);
        if found != 0 {
            break at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    };
    let (line, rest) = input.split_at(end);
    Some((line, rest.strip_prefix(b"\r\n")?))
}

fn parse(method: &Method, input: &[u8]) -> Beginning {
    let mut headers = [EMPTY_HEADER; MAX_HEADERS];
    let mut response = Response::new(&mut headers);
    let size = match response.parse(input) {
        Ok(Status::Complete(size)) if has_regular_lines(&input[..size]) => size,
        Ok(Status::Partial) => return Beginning::Incomplete,
        Ok(Status::Complete(_)) => return Beginning::Slow,
        Err(_) => return Beginning::Slow,
    };
    match read(method, &response, size) {
        Some(head) => Beginning::FastHead(head),
        None => Beginning::Slow,
    }
}

fn read(method: &Method, response: &Response, size: usize) -> Option<FastHead> {
    let code = response.code.filter(|code| (200..300).contains(code) && *code != 204)?;
    if response.version != Some(1) || *method == Method::HEAD {
        return None;
    }
    let status = StatusCode::from_u16(code).ok()?;
    let mut fields = Fields::default();
    for header in response.headers.iter() {
        fields.add(header.name.as_bytes(), header.value)?;
    }
    fields.head(status, size)
}

/// The headers that matter.
#[derive(Default)]
struct Fields {
    body: Option<u64>,
    is_json: Option<bool>,
    keep_alive: Option<Duration>,
}

impl Fields {
    /// Takes note of a header that comes first, if it is written as many servers write it: compared
    /// as a whole, it costs next to nothing. Gives what comes after its line.
    #[inline(always)]
    fn add_common<'a>(&mut self, input: &'a [u8]) -> Option<&'a [u8]> {
        macro_rules! either {
            ($small:literal, $capital:literal) => {
                input.strip_prefix($small).or_else(|| input.strip_prefix($capital))
            };
        }
        match input.first()? {
            b'c' | b'C' => {
                if let Some(rest) = either!(b"content-length: ", b"Content-Length: ") {
                    let (length, rest) = number_line(rest).filter(|_| self.body.is_none())?;
                    self.body = Some(length);
                    return Some(rest);
                }
                if let Some(rest) = either!(
                    b"content-type: application/json\r\n",
                    b"Content-Type: application/json\r\n"
                ) {
                    self.is_json = self.is_json.or(Some(true));
                    return Some(rest);
                }
                either!(b"connection: keep-alive\r\n", b"Connection: keep-alive\r\n")
            }
            b'k' | b'K' => {
                let rest = either!(b"keep-alive: timeout=", b"Keep-Alive: timeout=")?;
                let (seconds, rest) = number_line(rest)?;
                self.keep_alive = self.keep_alive.or(Some(keep_for(seconds)));
                Some(rest)
            }
            b'd' | b'D' => {
                let (date, rest) = either!(b"date: ", b"Date: ")?.split_first_chunk::<29>()?;
                // As `Thu, 01 Jan 2026 00:00:00 GMT`. It does not matter, if it is printable.
                let bad =
                    date.iter().fold(0, |bad, byte| bad | u8::from(!matches!(byte, b' '..=b'~')));
                if bad == 0 { rest.strip_prefix(b"\r\n") } else { None }
            }
            _ => None,
        }
    }

    /// Takes note of a header, whose name holds no control characters; `None` if the response can't take the fast path.
    fn add(&mut self, name: &[u8], value: &[u8]) -> Option<()> {
        // By their lengths, because that is one look.
        match name.len() {
            14 if is(name, b"content-length") => {
                let length = whole_number(value)?;
                if self.body.replace(length).is_some() {
                    return None;
                }
            }
            12 if self.is_json.is_none() && is(name, b"content-type") => {
                self.is_json = Some(is_of_json(value));
            }
            10 if is(name, b"connection") && !value.eq_ignore_ascii_case(b"keep-alive") => {
                return None;
            }
            10 if self.keep_alive.is_none() && is(name, b"keep-alive") => {
                self.keep_alive = keep_alive_time(value);
            }
            14 if is(name, b"content_length") => return None,
            16 if is(name, b"content-encoding") => return None,
            17 if is(name, b"transfer-encoding") || is(name, b"transfer_encoding") => return None,
            _ => {}
        }
        Some(())
    }

    fn head(self, status: StatusCode, size: usize) -> Option<FastHead> {
        let Fields { body, is_json, keep_alive } = self;
        Some(FastHead { status, size, body: body?, is_json, keep_alive })
    }
}

#[inline(always)]
fn is<const N: usize>(name: &[u8], other: &[u8; N]) -> bool {
    name.first_chunk().is_some_and(|name| is_same(name, other))
}

/// The number that a line begins with, and what comes after the line if that is all.
#[inline(always)]
fn number_line(input: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0;
    for (at, byte) in input.iter().take(19).enumerate() {
        if !byte.is_ascii_digit() {
            let rest = input[at..].strip_prefix(b"\r\n").filter(|_| at > 0)?;
            return Some((number, rest));
        }
        // Eighteen digits have room.
        number = number.wrapping_mul(10) + u64::from(byte - b'0');
    }
    None
}

fn whole_number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

/// Whether a Content-Type says that it is JSON.
pub(in crate::client) fn is_of_json(content_type: &[u8]) -> bool {
    if content_type == b"application/json" {
        return true;
    }
    let essence = content_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    let end = essence.len().saturating_sub(4);
    essence[end..].eq_ignore_ascii_case(b"json")
}

/// How long to keep a socket that the server keeps for the `timeout=N` seconds of this header.
pub(in crate::client) fn keep_alive_time(value: &[u8]) -> Option<Duration> {
    let alone = value.strip_prefix(b"timeout=").and_then(whole_number);
    let among_others = || {
        let mut parts = std::str::from_utf8(value).ok()?.split(',');
        parts.find_map(|part| part.trim().strip_prefix("timeout="))?.trim().parse().ok()
    };
    alone.or_else(among_others).map(keep_for)
}

/// How long to keep a socket that the server keeps for so many seconds.
fn keep_for(seconds: u64) -> Duration {
    match seconds {
        0..=2 => Duration::from_secs(seconds) / 2,
        more => Duration::from_secs(more - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_fast(method: Method, head: &str) -> bool {
        matches!(look(&method, head.as_bytes()), Beginning::FastHead(_))
    }

    #[test]
    fn what_the_fast_path_does_not_know_is_left_to_ureq_proto() {
        let get = |head: &str| is_fast(Method::GET, head);
        assert!(get("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"));
        assert!(get("HTTP/1.1 201 Created\r\nConnection: Keep-Alive\r\ncontent-length:0\r\n\r\n"));
        for head in [
            "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 100 Continue\r\nContent-Length: 2\r\n\r\n",
            "HTTP/1.1 404 OK\r\nContent-Length: 2\r\n\r\n",
            "HTTP/1.1 301 Moved\r\nContent-Length: 2\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Encoding: gzip\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive, x\r\n\r\n",
            "HTTP/1.1 200 OK\nContent-Length: 2\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\n",
            "\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent_Length: 3\r\n\r\n",
            "\u{15}\u{3}\u{1}",
        ] {
            assert!(!get(head), "{head}");
        }
        assert!(!is_fast(Method::HEAD, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"));
        let many = "x: y\r\n".repeat(MAX_HEADERS);
        assert!(!get(&format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n{many}\r\n")));
        assert!(matches!(look(&Method::GET, b"HTTP/1.1 200 OK\r\nx:"), Beginning::Incomplete));
    }

    /// What a response that is parsed would be taken for too.
    fn looked_through(head: &[u8]) -> Option<FastHead> {
        let common = common(&Method::GET, head);
        match (&common, parse(&Method::GET, head)) {
            (Some(head), Beginning::FastHead(parsed)) => assert_eq!(*head, parsed),
            (Some(_), _) => panic!("{} is taken for another", head.escape_ascii()),
            (None, _) => {}
        }
        common
    }

    #[test]
    fn a_head_that_is_looked_through_says_what_it_says_when_it_is_parsed() {
        for head in [
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 30\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 30\r\n\
             Connection: keep-alive\r\nKeep-Alive: timeout=75\r\n\
             Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n\r\n",
            "HTTP/1.1 200 OK\r\nkeep-alive: timeout=1\r\nkeep-alive: timeout=9\r\n\
             content-type: text/x\r\ncontent-type: application/json\r\n\
             content-length: 123456789012345678\r\n\r\n",
            "HTTP/1.1 299 \r\nContent-Length:0\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n\r\n{}",
            "HTTP/1.1 200 OK\r\nConnection: Keep-Alive\r\nKeep-Alive: timeout=5\r\nA:\r\n\
             Content-Length:  7  \r\nContent-Type: text/html; charset=utf-8\r\n\r\n",
        ] {
            assert!(looked_through(head.as_bytes()).is_some(), "{head}");
            for at in 0..head.len() {
                assert_eq!(
                    looked_through(&head.as_bytes()[..at]).is_some(),
                    head[..at].contains("\r\n\r\n")
                );
                let mut other = head.as_bytes().to_vec();
                for byte in 0..=255 {
                    other[at] = byte;
                    looked_through(&other);
                    other.insert(at, byte);
                    looked_through(&other);
                    other.remove(at);
                }
            }
        }
        let many = |count| {
            let more = "x: y\r\n".repeat(count);
            looked_through(format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n{more}\r\n").as_bytes())
        };
        assert!(many(MAX_HEADERS - 1).is_some());
        assert_eq!(many(MAX_HEADERS), None);
    }

    #[test]
    fn names_are_compared_without_their_case() {
        let is_length = |name: &[u8; 14]| is_same(name, b"content-length");
        assert!(is_length(b"content-length") && is_length(b"Content-LENGTH"));
        for at in 0..14 {
            for byte in
                (b' '..=b'~').filter(|byte| !b"content-length"[at].eq_ignore_ascii_case(byte))
            {
                let mut name = *b"Content-Length";
                name[at] = byte;
                assert!(!is_length(&name), "{}", name.escape_ascii());
            }
        }
        assert!(!is_same(b"transfer-encodinG", b"transfer_encoding"));
        assert!(!is_same(b"transfer-\x7fncoding", b"transfer-encoding"));
        assert!(is_same(b"Date", b"date") && !is_same(b"Dale", b"date"));
        assert!(is_same(b"SERVER", b"server") && !is_same(b"serve_", b"server"));
    }

    #[test]
    fn sockets_are_retired_before_the_server_closes_them() {
        let time = |text: &str| keep_alive_time(text.as_bytes());
        assert_eq!(time("timeout=5, max=100"), Some(Duration::from_secs(4)));
        assert_eq!(time("max=100,timeout=2"), Some(Duration::from_secs(1)));
        assert_eq!(time("timeout=1"), Some(Duration::from_millis(500)));
        assert_eq!(time("timeout=0"), Some(Duration::ZERO));
        assert_eq!(time("timeout=x"), None);
        assert_eq!(time("timeout=+3"), Some(Duration::from_secs(2)));
        assert_eq!(time("timeout=5,timeout=9"), Some(Duration::from_secs(4)));
        assert_eq!(time("timeout=99999999999999999999"), None);
        assert_eq!(time("max=3"), None);
    }

    #[test]
    fn json_is_known_by_the_end_of_its_type() {
        for json in ["application/json", "application/problem+JSON ; charset=utf-8", "json"] {
            assert!(is_of_json(json.as_bytes()), "{json}");
        }
        for other in ["text/html", "", "text/jso", "application/json5; a=json"] {
            assert!(!is_of_json(other.as_bytes()), "{other}");
        }
    }
}
