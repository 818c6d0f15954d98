//! The fast path of a response's head: what nearly every response has, in few instructions and no
//! allocations.
//!
//! A success of HTTP/1.1 that says how long its body is and keeps the connection takes it. Any
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
    let (mut body, mut is_json, mut keep_alive) = (None, None, None);
    for header in response.headers.iter() {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        if is("content-length") {
            let length = whole_number(header.value)?;
            if body.replace(length).is_some() {
                return None;
            }
        } else if is("transfer-encoding")
            || is("content-encoding")
            || is("content_length")
            || is("transfer_encoding")
        {
            return None;
        } else if is("connection") {
            if !header.value.eq_ignore_ascii_case(b"keep-alive") {
                return None;
            }
        } else if is("content-type") && is_json.is_none() {
            is_json = Some(is_of_json(header.value));
        } else if is("keep-alive") && keep_alive.is_none() {
            keep_alive = keep_alive_time(header.value);
        }
    }
    Some(FastHead { status, size, body: body?, is_json, keep_alive })
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
    let essence = content_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    let end = essence.len().saturating_sub(4);
    essence[end..].eq_ignore_ascii_case(b"json")
}

/// How long to keep a socket that the server keeps for the `timeout=N` seconds of this header.
pub(in crate::client) fn keep_alive_time(value: &[u8]) -> Option<Duration> {
    let seconds: u64 = std::str::from_utf8(value)
        .ok()?
        .split(',')
        .find_map(|part| part.trim().strip_prefix("timeout="))?
        .trim()
        .parse()
        .ok()?;
    Some(match seconds {
        0..=2 => Duration::from_secs(seconds) / 2,
        more => Duration::from_secs(more - 1),
    })
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

    #[test]
    fn sockets_are_retired_before_the_server_closes_them() {
        let time = |text: &str| keep_alive_time(text.as_bytes());
        assert_eq!(time("timeout=5, max=100"), Some(Duration::from_secs(4)));
        assert_eq!(time("max=100,timeout=2"), Some(Duration::from_secs(1)));
        assert_eq!(time("timeout=1"), Some(Duration::from_millis(500)));
        assert_eq!(time("timeout=0"), Some(Duration::ZERO));
        assert_eq!(time("timeout=x"), None);
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
