//! Where a response ends, and whether there is any doubt about that.
//!
//! A proxy or a server that reads a head in another way than this library would take a part of one
//! response for the next, and a caller would get what belongs to another. So what leaves doubt
//! about the body is refused; what is only odd is read, and its connection is not used again.

use std::collections::TryReserveError;

use httparse::{EMPTY_HEADER, Header, Response, Status};

/// A head with more headers is refused.
pub(in crate::client) const MAX_HEADERS: usize = 128;
/// The longest line that announces a chunk, and the most of trailers.
const MAX_LINE: usize = 4096;

/// What is wrong with a response's framing, in words.
pub(in crate::client) type Doubt = String;

/// The head of a response, complete and free of doubt.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::client) struct Checked {
    pub(in crate::client) size: usize,
    pub(in crate::client) status: u16,
    pub(in crate::client) body: Framing,
    /// The connection must not be used again.
    pub(in crate::client) is_last: bool,
}

/// How the end of a body is known, if the status allows one at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::client) enum Framing {
    Chunked,
    Length,
    UntilClose,
}

/// Looks at the beginning of a response; `None` if its head is not complete.
pub(in crate::client) fn check(input: &[u8]) -> Result<Option<Checked>, Doubt> {
    let mut headers = [EMPTY_HEADER; MAX_HEADERS];
    let mut response = Response::new(&mut headers);
    let size = match response.parse(input) {
        Ok(Status::Complete(size)) => size,
        Ok(Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => {
            return Err(format!("it has more than {MAX_HEADERS} headers"));
        }
        Err(error) => return Err(error.to_string()),
    };
    let head = &input[..size];
    let (status, is_old) = (response.code.unwrap_or(0), response.version == Some(0));
    let fields = Fields::of(response.headers)?;
    let is_interim = (100..200).contains(&status);
    let body = match (fields.length, fields.is_chunked) {
        (Some(_), true) => {
            return Err("it has a Content-Length and a Transfer-Encoding".to_owned());
        }
        (None, true) if is_old => return Err("HTTP/1.0 has no Transfer-Encoding".to_owned()),
        (None, true) => Framing::Chunked,
        (Some(_), false) => Framing::Length,
        (None, false) => Framing::UntilClose,
    };
    // These have no body, whatever their headers say; their author may think otherwise.
    let says_body = match body {
        Framing::Chunked => status == 304 || status == 204 || is_interim,
        Framing::Length => is_interim || (status == 204 && fields.length != Some(0)),
        Framing::UntilClose => false,
    };
    let is_closing = fields.closes || (is_old && !fields.keeps);
    let is_odd = fields.is_odd || says_body || !has_regular_lines(head);
    Ok(Some(Checked { size, status, body, is_last: is_closing || is_odd }))
}

/// Whether a head begins at once, and every line of it ends with CR LF.
pub(in crate::client) fn has_regular_lines(head: &[u8]) -> bool {
    // Without branches, so that the compiler looks at many bytes at once.
    let pairs = head.iter().zip(head.get(1..).unwrap_or_default());
    let bare = pairs.fold(0, |bare, (before, byte)| {
        bare | (u8::from(*byte == b'\n') & u8::from(*before != b'\r'))
    });
    bare == 0 && head.first() == Some(&b'H')
}

/// The headers that say where the body ends and what becomes of the connection.
#[derive(Default)]
struct Fields {
    length: Option<u64>,
    is_chunked: bool,
    closes: bool,
    keeps: bool,
    is_odd: bool,
}

impl Fields {
    fn of(headers: &[Header]) -> Result<Fields, Doubt> {
        let mut fields = Fields::default();
        for header in headers {
            let is = |name: &str| header.name.eq_ignore_ascii_case(name);
            if is("content-length") {
                fields.add_length(header.value)?;
            } else if is("transfer-encoding") {
                fields.add_encoding(header.value)?;
            } else if is("connection") {
                for option in header.value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
                    fields.closes |= option.eq_ignore_ascii_case(b"close");
                    fields.keeps |= option.eq_ignore_ascii_case(b"keep-alive");
                }
            } else if is("content_length") || is("transfer_encoding") {
                // Some gateways read these as if they had a hyphen.
                fields.is_odd = true;
            }
        }
        Ok(fields)
    }

    fn add_length(&mut self, value: &[u8]) -> Result<(), Doubt> {
        for part in value.split(|byte| *byte == b',') {
            let part = part.trim_ascii();
            if part.is_empty() || !part.iter().all(u8::is_ascii_digit) {
                return Err("its Content-Length is not a number".to_owned());
            }
            let length = std::str::from_utf8(part).ok().and_then(|digits| digits.parse().ok());
            let length = length.ok_or("its Content-Length is too large")?;
            match self.length.replace(length) {
                Some(other) if other != length => {
                    return Err("it has two different Content-Lengths".to_owned());
                }
                Some(_) => self.is_odd = true,
                None => {}
            }
        }
        Ok(())
    }

    fn add_encoding(&mut self, value: &[u8]) -> Result<(), Doubt> {
        if self.is_chunked || !value.eq_ignore_ascii_case(b"chunked") {
            return Err("its Transfer-Encoding is not `chunked`".to_owned());
        }
        self.is_chunked = true;
        Ok(())
    }
}

/// Puts a body together that comes in chunks.
#[derive(Debug)]
pub(in crate::client) struct Chunks {
    step: ChunkStep,
    is_odd: bool,
    /// Bytes of trailers so far.
    trailers: usize,
}

#[derive(Debug, PartialEq, Eq)]
enum ChunkStep {
    Size,
    Data(u64),
    /// After the data of a chunk.
    DataEnd,
    /// After the chunk of size 0.
    Trailers,
    Over,
}

/// Why a body can't be put together.
#[derive(Debug)]
pub(in crate::client) enum FramingError {
    Doubt(Doubt),
    OutOfMemory,
}

impl From<TryReserveError> for FramingError {
    fn from(_: TryReserveError) -> Self {
        FramingError::OutOfMemory
    }
}

impl Chunks {
    pub(in crate::client) fn new() -> Chunks {
        Chunks { step: ChunkStep::Size, is_odd: false, trailers: 0 }
    }

    /// Whether all of it has come.
    pub(in crate::client) fn is_over(&self) -> bool {
        self.step == ChunkStep::Over
    }

    /// Whether all data have come; some servers close without the empty line that ends it.
    pub(in crate::client) fn has_all_data(&self) -> bool {
        matches!(self.step, ChunkStep::Trailers | ChunkStep::Over)
    }

    /// Whether it was written in a way that others may read otherwise.
    pub(in crate::client) fn is_odd(&self) -> bool {
        self.is_odd
    }

    /// Adds to `body` what comes in, up to `most` bytes in all; says how much of `input` it took.
    pub(in crate::client) fn read(
        &mut self,
        input: &[u8],
        body: &mut Vec<u8>,
        most: u64,
    ) -> Result<usize, FramingError> {
        let mut taken = 0;
        loop {
            let rest = &input[taken..];
            match &mut self.step {
                ChunkStep::Data(left) => {
                    let room = most.saturating_sub(body.len() as u64).min(*left);
                    let count = rest.len().min(usize::try_from(room).unwrap_or(usize::MAX));
                    if count == 0 {
                        return Ok(taken);
                    }
                    body.try_reserve(count)?;
                    body.extend_from_slice(&rest[..count]);
                    taken += count;
                    *left -= count as u64;
                    if *left == 0 {
                        self.step = ChunkStep::DataEnd;
                    }
                }
                ChunkStep::DataEnd => match rest {
                    [b'\r', b'\n', ..] => {
                        taken += 2;
                        self.step = ChunkStep::Size;
                    }
                    [] | [b'\r'] => return Ok(taken),
                    _ => return Err(doubt("a chunk is longer than it says")),
                },
                ChunkStep::Size => {
                    let Some(line) = line(rest)? else { return Ok(taken) };
                    taken += line.len() + 2;
                    let (size, is_odd) = size(line)?;
                    self.is_odd |= is_odd;
                    self.step = if size == 0 { ChunkStep::Trailers } else { ChunkStep::Data(size) };
                }
                ChunkStep::Trailers => {
                    let Some(line) = line(rest)? else { return Ok(taken) };
                    taken += line.len() + 2;
                    self.trailers += line.len() + 2;
                    if line.is_empty() {
                        self.step = ChunkStep::Over;
                    } else if self.trailers > MAX_LINE {
                        return Err(doubt("its trailers are too long"));
                    } else {
                        self.is_odd |= is_odd_trailer(line)?;
                    }
                }
                ChunkStep::Over => return Ok(taken),
            }
        }
    }
}

fn doubt(why: &str) -> FramingError {
    FramingError::Doubt(why.to_owned())
}

/// The first line without its end; `None` if that has not come.
fn line(input: &[u8]) -> Result<Option<&[u8]>, FramingError> {
    let head = &input[..input.len().min(MAX_LINE)];
    let is_control = |byte: &u8| (*byte < b' ' && *byte != b'\t') || *byte == 0x7f;
    match head.iter().position(is_control) {
        Some(end) => match input[end..] {
            [b'\r', b'\n', ..] => Ok(Some(&input[..end])),
            [b'\r'] => Ok(None),
            _ => Err(doubt("the line of a chunk holds a control character")),
        },
        None if head.len() == MAX_LINE => Err(doubt("the line of a chunk is too long")),
        None => Ok(None),
    }
}

/// The size that a line says, and whether it says it oddly.
fn size(line: &[u8]) -> Result<(u64, bool), FramingError> {
    let written = line.split(|byte| *byte == b';').next().unwrap_or_default();
    let digits = written.trim_ascii_end();
    let text = std::str::from_utf8(digits).unwrap_or_default();
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(doubt("the size of a chunk is not a number"));
    }
    match u64::from_str_radix(text, 16) {
        Ok(size) if i64::try_from(size).is_ok() => Ok((size, written.len() != digits.len())),
        _ => Err(doubt("the size of a chunk is too large")),
    }
}

/// Whether a trailer says what only a head may say.
fn is_odd_trailer(line: &[u8]) -> Result<bool, FramingError> {
    let colon = line.iter().position(|byte| *byte == b':').unwrap_or(0);
    let name = &line[..colon];
    if name.is_empty() || !name.iter().all(|byte| byte.is_ascii_graphic()) {
        return Err(doubt("a trailer is not a header"));
    }
    let framing: [&[u8]; 3] = [b"content-length", b"transfer-encoding", b"connection"];
    Ok(framing.iter().any(|other| other.eq_ignore_ascii_case(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunked(pieces: &[&[u8]]) -> Result<(Vec<u8>, bool), String> {
        let (mut chunks, mut body, mut input) = (Chunks::new(), Vec::new(), Vec::new());
        for piece in pieces {
            input.extend_from_slice(piece);
            match chunks.read(&input, &mut body, u64::MAX) {
                Ok(taken) => drop(input.drain(..taken)),
                Err(FramingError::Doubt(why)) => return Err(why),
                Err(FramingError::OutOfMemory) => return Err("no memory".to_owned()),
            }
        }
        if chunks.is_over() && input.is_empty() {
            Ok((body, chunks.is_odd()))
        } else {
            Err(format!("{chunks:?}, left: {input:?}"))
        }
    }

    #[test]
    fn chunks_are_put_together_however_they_come() {
        let text = b"3\r\nabc\r\n00A;x=\"y\";z\r\n0123456789\r\n0\r\nX: y\r\n\r\n";
        let expected = (b"abc0123456789".to_vec(), false);
        assert_eq!(chunked(&[text]), Ok(expected.clone()));
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(chunked(&bytes), Ok(expected));
        assert_eq!(chunked(&[b"1 \t\r\nx\r\n0\r\n\r\n"]), Ok((b"x".to_vec(), true)));
        assert_eq!(chunked(&[b"1\r\nx\r\n0\r\nConnection: x\r\n\r\n"]), Ok((b"x".to_vec(), true)));
    }

    #[test]
    fn chunks_that_leave_doubt_are_refused() {
        for (text, why) in [
            (&b"+3\r\nabc"[..], "not a number"),
            (b"-3\r\nabc", "not a number"),
            (b"0x3\r\nabc", "not a number"),
            (b"3_0\r\nabc", "not a number"),
            (b" 3\r\nabc", "not a number"),
            (b"3 0\r\nabc", "not a number"),
            (b"\r\n", "not a number"),
            (b";x\r\n", "not a number"),
            (b"\xef\xbc\x93\r\n", "not a number"),
            (b"8000000000000000\r\n", "too large"),
            (b"10000000000000003\r\nabc", "too large"),
            (b"3\nabc", "control character"),
            (b"3;x\ny\r\nabc", "control character"),
            (b"3\r\r\nabc", "control character"),
            (b"3\0\r\nabc", "control character"),
            (b"3\r\nabcd\r\n", "longer than it says"),
            (b"3\r\nabc\n0\r\n\r\n", "longer than it says"),
            (b"0\r\nno colon\r\n\r\n", "not a header"),
            (b"0\r\nx : y\r\n\r\n", "not a header"),
            (b"0\r\n: y\r\n\r\n", "not a header"),
        ] {
            let error = chunked(&[text]).unwrap_err();
            assert!(error.contains(why), "{}: {error}", text.escape_ascii());
        }
        let long = [&b"3;"[..], &[b'x'; MAX_LINE]].concat();
        assert!(chunked(&[&long]).unwrap_err().contains("too long"));
        let trailers = [&b"0\r\n"[..], &b"x: y\r\n".repeat(MAX_LINE)].concat();
        assert!(chunked(&[&trailers]).unwrap_err().contains("too long"));
    }

    #[test]
    fn a_body_ends_where_it_is_to_be_cut() {
        let (mut chunks, mut body) = (Chunks::new(), Vec::new());
        let taken = chunks.read(b"7fffffffffffffff\r\nabcdef", &mut body, 4).unwrap();
        assert_eq!((taken, &*body), (22, &b"abcd"[..]));
        assert!(!chunks.has_all_data());
    }

    fn head(lines: &str) -> Result<(Framing, bool), Doubt> {
        check(format!("{lines}\r\n\r\n").as_bytes())
            .map(|checked| checked.map(|head| (head.body, head.is_last)).expect("it is complete"))
    }

    #[test]
    fn a_head_that_leaves_no_doubt_keeps_its_connection() {
        let ok = |lines: &str| head(&format!("HTTP/1.1 200 OK\r\n{lines}"));
        assert_eq!(ok("Content-Length: 007"), Ok((Framing::Length, false)));
        assert_eq!(ok("Transfer-Encoding: Chunked"), Ok((Framing::Chunked, false)));
        assert_eq!(ok("X: y"), Ok((Framing::UntilClose, false)));
        assert_eq!(ok("Content-Length: 7\r\nConnection: x, CLOSE"), Ok((Framing::Length, true)));
        assert_eq!(ok("Content-Length: 7, 7"), Ok((Framing::Length, true)));
        assert_eq!(ok("Content-Length: 7\r\nContent_Length: 7"), Ok((Framing::Length, true)));
        assert_eq!(head("\r\nHTTP/1.1 200 OK\r\nContent-Length: 7"), Ok((Framing::Length, true)));
        assert_eq!(head("HTTP/1.1 200 OK\nContent-Length: 7"), Ok((Framing::Length, true)));
        let old = |lines: &str| head(&format!("HTTP/1.0 200 OK\r\n{lines}"));
        assert_eq!(old("Content-Length: 7"), Ok((Framing::Length, true)));
        assert_eq!(
            old("Content-Length: 7\r\nConnection: keep-alive"),
            Ok((Framing::Length, false))
        );
        assert!(old("Transfer-Encoding: chunked").is_err());
        assert_eq!(head("HTTP/1.1 204 No\r\nContent-Length: 0"), Ok((Framing::Length, false)));
        assert_eq!(head("HTTP/1.1 204 No\r\nContent-Length: 1"), Ok((Framing::Length, true)));
        assert_eq!(head("HTTP/1.1 304 No\r\nContent-Length: 1"), Ok((Framing::Length, false)));
        assert_eq!(check(b"HTTP/1.1 200 OK\r\nX: y\r\n"), Ok(None));
    }

    #[test]
    fn a_head_that_leaves_doubt_is_refused() {
        for (lines, why) in [
            ("Content-Length: 1\r\nTransfer-Encoding: chunked", "a Content-Length and"),
            ("Transfer-Encoding: xchunked", "not `chunked`"),
            ("Transfer-Encoding: gzip, chunked", "not `chunked`"),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "not `chunked`"),
            ("Transfer-Encoding: ", "not `chunked`"),
            ("Content-Length: 1\r\nContent-Length: 2", "two different"),
            ("Content-Length: 1, 2", "two different"),
            ("Content-Length: +1", "not a number"),
            ("Content-Length: 1_0", "not a number"),
            ("Content-Length: 1 0", "not a number"),
            ("Content-Length: 0x1", "not a number"),
            ("Content-Length:", "not a number"),
            ("Content-Length: 99999999999999999999", "too large"),
        ] {
            let error = head(&format!("HTTP/1.1 200 OK\r\n{lines}")).unwrap_err();
            assert!(error.contains(why), "{lines}: {error}");
        }
        let many = format!("HTTP/1.1 200 OK\r\n{}", "X: y\r\n".repeat(MAX_HEADERS + 1));
        assert_eq!(head(&many).unwrap_err(), "it has more than 128 headers");
    }
}
