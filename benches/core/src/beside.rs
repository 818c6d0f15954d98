//! Health checks beside large responses.

use std::ffi::CString;
use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ptr;
use std::sync::Arc;
use std::thread;

use indicatif::ProgressBar;
use serde_json::json;

use crate::report::{Aim, Section};
use crate::rounds::{median, percentile};

unsafe extern "C" {
    /// See c/beside.c.
    fn bench_beside(
        host: *const libc::c_char,
        port: i32,
        large: *const libc::c_char,
        count: u32,
        out: *mut i64,
    ) -> i64;
}

/// How large a large response is.
const SIZE: usize = 60_000_000;
/// How much later than without them a health check may be back, in milliseconds.
const MOST_LATE: f64 = 10.0;

/// What is asked for (a path, or the table of a `select`), what that is, and its whole response.
struct Shape {
    ask: &'static str,
    name: &'static str,
    response: fn() -> Vec<u8>,
}

const SHAPES: [Shape; 5] = [
    Shape { ask: "rows", name: "rows of eight columns", response: rows },
    Shape { ask: "columns", name: "one row, every column new", response: columns },
    Shape { ask: "/nested", name: "lists in lists", response: nested },
    Shape { ask: "/text", name: "one text with escapes", response: text },
    Shape { ask: "/chunks", name: "a list in chunks of 16 bytes", response: chunks },
];

fn response(body: &str) -> Vec<u8> {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length:";
    format!("{head} {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// A text that grows by parts, numbered from 0, until it is large.
fn grown(begin: &str, end: &str, mut part: impl FnMut(&mut String, usize)) -> String {
    let mut text = begin.to_owned();
    for number in 0.. {
        if text.len() >= SIZE {
            break;
        }
        if number > 0 {
            text.push(',');
        }
        part(&mut text, number);
    }
    text + end
}

fn rows() -> Vec<u8> {
    let row = |text: &mut String, number: usize| {
        let _ = write!(
            text,
            "{{\"id\":{number},\"name\":\"n{number}\",\"price\":{number}.5,\"paid\":true,\
             \"note\":null,\"a\":1,\"b\":\"x\",\"c\":-7}}"
        );
    };
    response(&grown("{\"records\":[", "]}", row))
}

fn columns() -> Vec<u8> {
    let member = |text: &mut String, number: usize| {
        let _ = write!(text, "\"column{number}\":{number}");
    };
    response(&grown("{\"records\":[{", "}]}", member))
}

fn nested() -> Vec<u8> {
    response(&grown("[", "]", |text, _| text.push_str("[[[[[1]]]],[],{}]")))
}

fn text() -> Vec<u8> {
    response(&format!("\"{}\"", "\\u00fc\\n".repeat(SIZE / 8)))
}

fn chunks() -> Vec<u8> {
    let body =
        grown("[", "]", |text, number| text.push_str(if number % 2 == 0 { "0" } else { "17" }));
    let mut out = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\
                    transfer-encoding: chunked\r\n\r\n"
        .to_vec();
    // The chunks' own lengths count too.
    for chunk in body.as_bytes()[..SIZE / 2].chunks(16) {
        let _ = write!(out, "{:x}\r\n", chunk.len());
        out.extend_from_slice(chunk);
        out.extend_from_slice(b"\r\n");
    }
    // Whatever was cut off, it ends as a list.
    out.extend_from_slice(b"3\r\n,0]\r\n0\r\n\r\n");
    out
}

/// Serves `/health` with an empty object and everything else with `large`, for ever.
fn serve(large: Vec<u8>) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let (large, small) = (Arc::new(large), response("{}"));
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (large, small) = (large.clone(), small.clone());
            thread::spawn(move || serve_one(&stream, &large, &small));
        }
    });
    Ok(address)
}

fn serve_one(stream: &TcpStream, large: &[u8], small: &[u8]) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut input = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if input.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let is_health = line.contains("/health");
        while line.trim() != "" {
            line.clear();
            input.read_line(&mut line)?;
        }
        let mut stream = stream;
        stream.write_all(if is_health { small } else { large })?;
    }
}

/// How long so many health checks took, in milliseconds, and how many large responses came meanwhile.
fn beside(server: SocketAddr, large: Option<&str>, count: u32) -> io::Result<(Vec<f64>, i64)> {
    let host = CString::new(server.ip().to_string())?;
    let large = large.map(CString::new).transpose()?;
    let large = large.as_ref().map_or(ptr::null(), |text| text.as_ptr());
    let mut taken = vec![0; count as usize];
    // SAFETY: the texts end with a NUL, and `taken` has room for `count` numbers.
    let came = unsafe {
        bench_beside(host.as_ptr(), i32::from(server.port()), large, count, taken.as_mut_ptr())
    };
    if came < 0 {
        return Err(io::Error::other("health checks beside large responses failed"));
    }
    Ok((taken.into_iter().map(|nanoseconds| nanoseconds as f64 / 1e6).collect(), came))
}

pub fn turns() -> u64 {
    SHAPES.len() as u64 + 1
}

pub fn measure(count: u32, progress: &ProgressBar) -> io::Result<Section> {
    progress.set_message("health checks alone");
    let (alone, _) = beside(serve(response("{}"))?, None, count)?;
    progress.inc(1);
    let own = median(alone.iter().copied());
    let figure = |figure: f64| format!("{figure:.2}");
    let line = |name: &str, came: i64, taken: &[f64]| {
        let part = |part| figure(percentile(taken.iter().copied(), part));
        vec![name.to_owned(), came.to_string(), part(0.5), part(0.9), part(1.0)]
    };
    let mut rows = vec![line("none", 0, &alone)];
    let (mut aims, mut data) = (Vec::new(), Vec::new());
    for shape in &SHAPES {
        progress.set_message(format!("health checks beside {}", shape.name));
        let server = serve((shape.response)())?;
        let (taken, came) = beside(server, Some(shape.ask), count)?;
        progress.inc(1);
        rows.push(line(shape.name, came, &taken));
        let slowest = percentile(taken.iter().copied(), 1.0);
        aims.push(Aim::at_most(
            format!("ms that the slowest is later beside {}", shape.name),
            slowest - own,
            MOST_LATE,
        ));
        data.push(json!({ "shape": shape.name, "responses": came, "milliseconds": taken }));
    }
    Ok(Section {
        title: "Beside large responses",
        about: "Ten health checks a second, on a pool on which two responses of 60 MB are always under \
                way; the server shares the processors.",
        head: vec!["beside", "responses", "median ms", "90 % ms", "slowest ms"],
        rows,
        aims,
        plots: Vec::new(),
        data: json!({ "alone_ms": own, "beside": data }),
    })
}
