//! What reading a response costs in memory, whatever its shape: at most four times its size, counted
//! from its first byte to the last value, its own text included.

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use phantomdb::internal::{Connection, DialLimiter, DialPermit, Endpoint, SocketHandle};
use phantomdb::{Code, Options, Request, Response, Result};

/// Counts what is allocated, and can refuse what is large.
struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
static LIMIT: AtomicUsize = AtomicUsize::new(usize::MAX);

/// Smaller allocations than this are never refused: the library does not promise to survive that.
const LARGE: usize = 32 * 1024;

fn count(size: usize) -> bool {
    let now = NOW.fetch_add(size, Ordering::Relaxed) + size;
    if size >= LARGE && now > LIMIT.load(Ordering::Relaxed) {
        NOW.fetch_sub(size, Ordering::Relaxed);
        return false;
    }
    PEAK.fetch_max(now, Ordering::Relaxed);
    true
}

// SAFETY: all is passed on to the system's allocator; a refusal is NULL.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !count(layout.size()) {
            return std::ptr::null_mut();
        }
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(place, layout) }
    }

    // No `realloc`: what grows counts twice while it is copied, as it does where it can't grow in place.
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct NoLimit;

impl DialLimiter for NoLimit {
    fn permit(&self, _: Instant, _: &SocketHandle) -> Result<Option<DialPermit>> {
        Ok(Some(DialPermit::new(|_| ())))
    }

    fn wake(&self) {}
}

/// Sends the bytes of one response to each connection, then waits for its end.
fn serve(head: &'static str, body: Arc<Vec<u8>>) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let url = format!("http://{}", listener.local_addr().expect("it has an address"));
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("the client comes");
        let mut request = [0; 4096];
        let _ = stream.read(&mut request);
        let _ = respond(&mut stream, head, &body);
    });
    (url, server)
}

fn respond(stream: &mut TcpStream, head: &str, body: &[u8]) -> std::io::Result<()> {
    if head == "chunked" {
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        for piece in body.chunks(30_000) {
            write!(stream, "{:x}\r\n", piece.len())?;
            stream.write_all(piece)?;
            stream.write_all(b"\r\n")?;
        }
        stream.write_all(b"0\r\n\r\n")?;
    } else {
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len())?;
        stream.write_all(body)?;
    }
    // Until the client has it all.
    let _ = stream.read(&mut [0; 1]);
    Ok(())
}

fn ask(request: &Request, head: &'static str, body: &Arc<Vec<u8>>) -> Result<Response> {
    let (base_url, server) = serve(head, body.clone());
    let options = Options { base_url, max_response_bytes: 1 << 40, ..Options::default() };
    let endpoint = Arc::new(Endpoint::new(&options).expect("the options are good"));
    let mut connection = Connection::new(endpoint, Arc::new(NoLimit));
    let outcome = connection.request(request, Instant::now() + Duration::from_secs(60));
    drop(connection);
    server.join().expect("the server ends");
    outcome
}

fn select() -> Request {
    Request::select("d", "t", None).expect("it is good")
}

fn query() -> Request {
    Request::execute_query("d", "SELECT", None).expect("it is good")
}

const SIZE: usize = 600_000;

/// As many of the same as make a response.
fn many(before: &str, one: &str, after: &str) -> String {
    let count = SIZE / (one.len() + 1);
    format!("{before}{}{after}", vec![one; count].join(","))
}

/// As many different ones.
fn different(before: &str, one: impl Fn(usize) -> String, after: &str) -> String {
    let mut text = before.to_owned();
    for number in 0.. {
        if number > 0 {
            text.push(',');
        }
        text.push_str(&one(number));
        if text.len() > SIZE {
            break;
        }
    }
    text + after
}

/// A short name for a number.
fn name(number: usize) -> String {
    const DIGITS: &[u8] =
        b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-*/=<>()[]{}.:;!?";
    let mut rest = number;
    let mut name = String::new();
    while name.len() < 3 || rest > 0 {
        name.push(char::from(DIGITS[rest % DIGITS.len()]));
        rest /= DIGITS.len();
    }
    name
}

fn shapes() -> Vec<(&'static str, Request, String)> {
    let numbered = |count: usize| {
        (0..count).map(|it| format!("\"{}\"", name(it))).collect::<Vec<_>>().join(",")
    };
    let ones = format!("[{}]", vec!["1"; 100].join(","));
    let nulls = format!("[{}]", vec!["null"; 100].join(","));
    let wide: Vec<String> = (0..2000).map(|it| format!("\"column{it}\":{it}")).collect();
    let half = SIZE / 2 / 6;
    let reversed: Vec<String> = (0..SIZE / 16).map(|it| format!("\"{}\":1", name(it))).collect();
    let backwards: Vec<&str> = reversed.iter().rev().map(String::as_str).collect();
    let narrow = "{\"columns\":[\"a\"],\"rows\":[";
    let hundred = format!("{{\"columns\":[{}],\"rows\":[", numbered(100));
    let rows = "{\"records\":[";
    let end = "]}";
    vec![
        ("dense arrays of one digit", query(), many(&hundred, &ones, end)),
        ("one digit a row", query(), many(narrow, "[1]", end)),
        ("arrays of nulls", query(), many(&hundred, &nulls, end)),
        ("arrays without values", query(), many(narrow, "[]", end)),
        ("objects without values", select(), many(rows, "{}", end)),
        (
            "a wide object, then empty ones",
            select(),
            many(&format!("{rows}{{{}}},", wide.join(",")), "{}", end),
        ),
        (
            "a wide object, then its last column alone",
            select(),
            many(&format!("{rows}{{{}}},", wide.join(",")), "{\"column1999\":1}", end),
        ),
        ("objects of one column", select(), many(rows, "{\"a\":1}", end)),
        (
            "objects of a second column",
            select(),
            many(&format!("{rows}{{\"a\":1,\"b\":1}},"), "{\"b\":1}", end),
        ),
        (
            "ever new columns",
            select(),
            different(rows, |it| format!("{{\"{}\":1}}", name(it)), end),
        ),
        (
            "one row of ever new columns",
            select(),
            different("{\"records\":[{", |it| format!("\"{}\":1", name(it)), "}]}"),
        ),
        ("one member again and again", select(), many("{\"records\":[{", "\"a\":1", "}]}")),
        (
            "a row, and the same members backwards",
            select(),
            format!("{rows}{{{}}},{{{}}}]}}", reversed.join(","), backwards.join(",")),
        ),
        (
            "columns, and as many rows without values",
            query(),
            format!(
                "{{\"columns\":[{}],\"rows\":[{}]}}",
                numbered(half),
                vec!["[]"; half].join(",")
            ),
        ),
        (
            "columns without rows",
            query(),
            different("{\"columns\":[", |it| format!("\"{}\"", name(it)), end),
        ),
        (
            "rows before their columns",
            query(),
            many("{\"rows\":[", &ones, &format!("],\"columns\":[{}]}}", numbered(100))),
        ),
        ("short strings", query(), many(narrow, "[\"x\"]", end)),
        ("a long string", query(), format!("{narrow}[\"{}\"]]}}", "x".repeat(SIZE))),
        (
            "a string of escapes",
            query(),
            format!("{narrow}[\"{}\"]]}}", "\\u0000\\n".repeat(SIZE / 8)),
        ),
        ("nested values", select(), many(rows, "{\"a\":[[1],{\"b\":[]}]}", end)),
        ("a list", Request::list_databases(), many("{\"databases\":[", "\"a\"", end)),
        ("a list of objects", Request::list_databases(), many("[", "{\"name\":\"\"}", "]")),
        (
            "a raw response",
            Request::raw("GET", "/", None).expect("it is good"),
            many("[", "[]", "]"),
        ),
    ]
}

/// One test, since all threads of a process share its allocator.
#[test]
fn a_response_of_any_shape_takes_at_most_four_times_its_size_and_never_aborts() {
    for (number, (shape, request, body)) in shapes().into_iter().enumerate() {
        let body = Arc::new(body.into_bytes());
        // With chunks the body itself grows in another way, whatever is in it.
        for head in if number % 4 == 0 { vec!["length", "chunked"] } else { vec!["length"] } {
            let before = NOW.load(Ordering::Relaxed);
            PEAK.store(before, Ordering::Relaxed);
            let response =
                ask(&request, head, &body).unwrap_or_else(|error| panic!("{shape}: {error}"));
            if let Ok(table) = response.table() {
                assert!(table.cells(0).expect("it is the beginning").count() <= body.len());
            }
            let times = (PEAK.load(Ordering::Relaxed) - before) as f64 / body.len() as f64;
            println!("{times:5.2}  {shape} ({head})");
            assert!(times < 4.0, "{shape} ({head}) took {times:.2} times the response");
        }
        out_of_memory(shape, &request, &body);
    }
}

/// Wherever memory ends, an error says so.
fn out_of_memory(shape: &str, request: &Request, body: &Arc<Vec<u8>>) {
    for times in [0.5, 1.6, 2.2] {
        let now = NOW.load(Ordering::Relaxed);
        LIMIT.store(now + (body.len() as f64 * times) as usize, Ordering::Relaxed);
        let outcome = ask(request, "length", body);
        if let Err(error) =
            outcome.as_ref().map(|response| (response.text().err(), response.names().err()))
        {
            LIMIT.store(usize::MAX, Ordering::Relaxed);
            assert_eq!(error.code(), Code::OutOfMemory, "{shape}, {times}: {error}");
            assert!(!error.is_retriable());
        }
        LIMIT.store(usize::MAX, Ordering::Relaxed);
        assert!(times > 1.0 || outcome.is_err(), "{shape} is read in {times} of its size");
    }
}
