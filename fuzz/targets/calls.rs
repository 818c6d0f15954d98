//! Any sequence of calls of the C interface, from two threads at once, on handles that are valid,
//! stale, of another kind, made up or NULL: each call behaves as documented, every
//! pending callback runs once, and nothing is left.
#![no_main]

use std::ffi::{CStr, c_char, c_void};
use std::io::{Read, Write};
use std::mem::MaybeUninit;
use std::net::{TcpListener, TcpStream};
use std::ptr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, OnceLock};
use std::thread;

use libfuzzer_sys::fuzz_target;
use phantomdb::capi::*;

/// The handles of a run, of all kinds: each is a number.
#[derive(Default)]
struct Handles {
    all: Vec<usize>,
    pools: Vec<usize>,
    /// Each with its pool.
    connections: Vec<(usize, usize)>,
    results: Vec<usize>,
}

static HANDLES: Mutex<Option<Handles>> = Mutex::new(None);
/// Pending callbacks, less those that ran.
static PENDING: AtomicI64 = AtomicI64::new(0);

fn handles<R>(work: impl FnOnce(&mut Handles) -> R) -> R {
    work(HANDLES.lock().expect("nobody panics with it").get_or_insert_default())
}

/// A server that has one response for everything, and none for some.
fn server() -> &'static CStr {
    static URL: OnceLock<std::ffi::CString> = OnceLock::new();
    URL.get_or_init(|| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it listens"));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                thread::spawn(move || serve(stream));
            }
        });
        std::ffi::CString::new(url).expect("it has no NUL")
    })
}

fn serve(mut stream: TcpStream) {
    const BODY: &str = r#"{"transaction_id":"t","databases":["a"],"tables":[],"records":[{"a":1,"b":"x"}],"columns":["a"],"rows":[[1.5]],"affectedRows":1}"#;
    let mut received = Vec::new();
    let mut bytes = [0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut bytes) {
        received.extend_from_slice(&bytes[..count]);
        while let Some(end) = received.windows(4).position(|it| it == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&received[..end]).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let whole = end + 4 + length.and_then(|it| it.parse().ok()).unwrap_or(0);
            if received.len() < whole {
                break;
            }
            received.drain(..whole);
            let response = match head.contains("/health") {
                true => return,
                false => format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{BODY}", BODY.len()),
            };
            if stream.write_all(response.as_bytes()).is_err() {
                return;
            }
        }
    }
}

/// Takes values from the bytes; zeros when there are no more.
struct Source<'a>(&'a [u8]);

impl Source<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// A handle for a kind of which there are these; often of another kind, or none at all.
    fn handle<T>(&mut self, of: impl FnOnce(&Handles) -> Vec<usize>) -> *mut T {
        let (choice, index) = (self.byte(), usize::from(self.byte()));
        let pick = |from: &[usize]| from.get(index % from.len().max(1)).copied().unwrap_or(0);
        let value = match choice {
            0..200 => handles(|it| pick(&of(it))),
            200..235 => handles(|it| pick(&it.all)),
            235..245 => 0,
            _ => usize::from_le_bytes(std::array::from_fn(|_| self.byte())),
        };
        ptr::without_provenance_mut(value)
    }

    fn pool(&mut self) -> *mut phantomdb_pool {
        self.handle(|it| it.pools.clone())
    }

    fn connection(&mut self) -> *mut phantomdb_connection {
        self.handle(|it| it.connections.iter().map(|(handle, _)| *handle).collect())
    }

    fn result(&mut self) -> *mut phantomdb_result {
        self.handle(|it| it.results.clone())
    }

    fn text(&mut self) -> *const c_char {
        const TEXTS: [&CStr; 10] = [
            c"d",
            c"",
            c"..",
            c"a = 1",
            c"{}",
            c"[]",
            c"[1,\"x\"]",
            c"/databases",
            c"\xff",
            c"/health",
        ];
        match self.byte() {
            255 => ptr::null(),
            choice => TEXTS[usize::from(choice) % TEXTS.len()].as_ptr(),
        }
    }

    /// Short, or senseless.
    fn time(&mut self) -> i64 {
        match self.byte() {
            255 => i64::MIN,
            254 => -1,
            other => i64::from(other % 4),
        }
    }
}

fn made<T>(handle: *mut T) -> Option<usize> {
    let value = handle.addr();
    if value != 0 {
        handles(|it| it.all.push(value));
    }
    (value != 0).then_some(value)
}

fn keep_result(result: *mut phantomdb_result) {
    if let Some(result) = made(result) {
        handles(|it| it.results.push(result));
    }
}

fn keep_connection(connection: *mut phantomdb_connection, pool: usize) {
    if let Some(connection) = made(connection) {
        handles(|it| it.connections.push((connection, pool)));
    }
}

unsafe extern "C" fn on_connection(
    connection: *mut phantomdb_connection,
    error: *const phantomdb_error,
    pool: *mut c_void,
) {
    // SAFETY: the library lends it for the time of the call.
    let code = unsafe { (*error).code };
    assert_eq!(code == 0, !connection.is_null());
    keep_connection(connection, pool.addr());
    PENDING.fetch_sub(1, Ordering::SeqCst);
}

unsafe extern "C" fn on_result(
    result: *mut phantomdb_result,
    error: *const phantomdb_error,
    _user_data: *mut c_void,
) {
    // SAFETY: as above.
    let code = unsafe { (*error).code };
    assert_eq!(code == 0, !result.is_null());
    keep_result(result);
    PENDING.fetch_sub(1, Ordering::SeqCst);
}

unsafe extern "C" fn on_closed(_error: *const phantomdb_error, _user_data: *mut c_void) {
    PENDING.fetch_sub(1, Ordering::SeqCst);
}

/// Settles a call whose callback runs if it succeeds, and which was counted before it was made.
fn settle(code: i32, ticket: *mut phantomdb_ticket) {
    if code != 0 {
        PENDING.fetch_sub(1, Ordering::SeqCst);
    }
    made(ticket);
}

fn create(source: &mut Source<'_>) {
    // SAFETY: a struct of numbers and pointers, which may all be zero.
    let mut options = unsafe { std::mem::zeroed::<phantomdb_pool_options>() };
    let size = size_of::<phantomdb_pool_options>() as u32;
    let mut pool = ptr::null_mut();
    // SAFETY: the struct is as large as it says, and its texts end with a NUL.
    let code = unsafe {
        phantomdb_pool_options_init(&mut options, size);
        options.base_url = server().as_ptr();
        options.max_connections = u32::from(source.byte() % 3) + 1;
        options.min_connections = u32::from(source.byte() % 2);
        options.max_waiters = u32::from(source.byte() % 4);
        options.preconnect = i32::from(source.byte() % 2);
        options.validation = i32::from(source.byte() % 3);
        options.validate_after_ms = 0;
        options.acquire_timeout_ms = 3;
        options.request_timeout_ms = 50;
        options.close_timeout_ms = source.time().max(0);
        phantomdb_pool_create(&options, &mut pool, ptr::null_mut())
    };
    assert_eq!(code == 0, !pool.is_null());
    if let Some(pool) = made(pool) {
        handles(|it| it.pools.push(pool));
    }
}

/// One call; says what it returned, and what is in the error.
fn call(source: &mut Source<'_>) {
    // SAFETY: a struct of numbers.
    let mut reported = unsafe { std::mem::zeroed::<phantomdb_error>() };
    let error = &raw mut reported;
    let mut result = ptr::null_mut();
    let mut connection = ptr::null_mut();
    let mut ticket = ptr::null_mut();
    // SAFETY: outputs are valid, texts end with a NUL, and handles may be anything.
    let code = unsafe {
        match source.byte() % 32 {
            0 | 1 => return create(source),
            2 | 3 => {
                let pool = source.pool();
                let code = phantomdb_pool_acquire(pool, &mut connection, error);
                keep_connection(connection, pool.addr());
                code
            }
            4 => {
                let pool = source.pool();
                let time = source.time();
                let code = phantomdb_pool_acquire_timeout(pool, time, &mut connection, error);
                keep_connection(connection, pool.addr());
                code
            }
            5 => {
                let pool = source.pool();
                let code = phantomdb_pool_try_acquire(pool, &mut connection, error);
                keep_connection(connection, pool.addr());
                code
            }
            6 | 7 => phantomdb_pool_release(source.pool(), source.connection(), error),
            8 => phantomdb_pool_discard(source.pool(), source.connection(), error),
            9 => phantomdb_pool_request(
                source.pool(),
                c"GET".as_ptr(),
                source.text(),
                ptr::null(),
                0,
                &mut result,
                error,
            ),
            10 => phantomdb_pool_query(
                source.pool(),
                source.text(),
                source.text(),
                source.text(),
                &mut result,
                error,
            ),
            11 | 12 => {
                let connection = source.connection();
                let operation = i32::from(source.byte() % 18);
                let texts = [source.text(), source.text(), source.text(), source.text()];
                let count = u64::from(source.byte() % 5);
                let texts = texts.as_ptr();
                phantomdb_connection_run(connection, operation, texts, count, &mut result, error)
            }
            13 => phantomdb_connection_begin_transaction(
                source.connection(),
                source.text(),
                &mut result,
                error,
            ),
            14 => phantomdb_connection_commit_transaction(
                source.connection(),
                ptr::null(),
                &mut result,
                error,
            ),
            15 => phantomdb_connection_interrupt(source.connection(), error),
            16 => phantomdb_connection_set_owner(source.connection(), source.text(), error),
            17 => phantomdb_pool_reset(source.pool(), error),
            18 => {
                let (min, max) = (source.byte() % 4, source.byte() % 4);
                phantomdb_pool_resize(source.pool(), min.into(), max.into(), error)
            }
            19 => phantomdb_pool_set_token(source.pool(), source.text(), error),
            20 => phantomdb_pool_stats_json(source.pool(), &mut result, error),
            21 => phantomdb_pool_metrics(source.pool(), &mut result, error),
            22 => phantomdb_pool_status_json(source.pool(), &mut result, error),
            23 => phantomdb_pool_close_timeout(source.pool(), source.time(), error),
            24 => return read(source),
            25 => {
                phantomdb_result_free(source.result());
                return;
            }
            26 | 27 => {
                let pool = source.pool();
                let time = source.time();
                PENDING.fetch_add(1, Ordering::SeqCst);
                let user = ptr::without_provenance_mut(pool.addr());
                let done = Some(on_connection as _);
                let code = phantomdb_pool_acquire_async(pool, time, done, user, &mut ticket, error);
                settle(code, ticket);
                code
            }
            28 => {
                let pool = source.pool();
                let operation = i32::from(source.byte() % 18);
                let texts = [source.text(), source.text(), source.text(), source.text()];
                let count = u64::from(source.byte() % 5);
                PENDING.fetch_add(1, Ordering::SeqCst);
                let code = phantomdb_pool_run_async(
                    pool,
                    operation,
                    texts.as_ptr(),
                    count,
                    Some(on_result),
                    ptr::null_mut(),
                    &mut ticket,
                    error,
                );
                settle(code, ticket);
                code
            }
            29 => {
                let connection = source.connection();
                PENDING.fetch_add(1, Ordering::SeqCst);
                let code = phantomdb_connection_request_async(
                    connection,
                    c"GET".as_ptr(),
                    source.text(),
                    ptr::null(),
                    0,
                    Some(on_result),
                    ptr::null_mut(),
                    &mut ticket,
                    error,
                );
                settle(code, ticket);
                code
            }
            30 => phantomdb_cancel(source.handle(|it| it.all.clone()), error),
            _ => {
                let (pool, time) = (source.pool(), source.time());
                PENDING.fetch_add(1, Ordering::SeqCst);
                let none = ptr::null_mut();
                let code = phantomdb_pool_close_async(pool, time, Some(on_closed), none, error);
                PENDING.fetch_sub(i64::from(code != 0), Ordering::SeqCst);
                code
            }
        }
    };
    keep_result(result);
    assert_eq!(code, reported.code);
    assert_ne!(code, -19, "a panic");
    // SAFETY: the library ends it with a NUL.
    let message = unsafe { CStr::from_ptr(reported.message.as_ptr()) };
    assert_eq!(code == 0, message.is_empty());
    assert!(message.to_str().is_ok());
}

/// Reads a result, however it may be.
fn read(source: &mut Source<'_>) {
    let result = source.result();
    let (row, column) = (u64::from(source.byte()), u64::from(source.byte()));
    let (mut count, mut number, mut real, mut flag, mut kind) = (0, 0, 0.0, false, 0);
    let mut text = ptr::null();
    let none = ptr::null_mut();
    // SAFETY: outputs are valid, and the handle may be anything. No text is followed, because the other
    // thread may free the result.
    unsafe {
        phantomdb_result_text(result, &mut text, &mut count, none);
        phantomdb_result_row_count(result, &mut count, none);
        phantomdb_result_column_count(result, &mut count, none);
        phantomdb_result_column_name(result, column, &mut text, &mut count, none);
        phantomdb_result_column_index(result, source.text(), &mut count, none);
        phantomdb_result_cell_kind(result, row, column, &mut kind, none);
        phantomdb_result_cell_is_null(result, row, column, &mut flag, none);
        phantomdb_result_cell_text(result, row, column, &mut text, &mut count, none);
        phantomdb_result_cell_int64(result, row, column, &mut number, none);
        phantomdb_result_cell_double(result, row, column, &mut real, none);
        phantomdb_result_cell_bool(result, row, column, &mut flag, none);
        phantomdb_result_item_count(result, &mut count, none);
        phantomdb_result_item(result, row, &mut text, &mut count, none);
        phantomdb_result_affected_rows(result, &mut number, none);
        phantomdb_result_reported_row_count(result, &mut number, none);
        phantomdb_result_cell_is_replaced(result, row, column, &mut flag, none);
        let mut values = [MaybeUninit::<phantomdb_value>::uninit(); 3];
        let (values, mut buffer) = (values.as_mut_ptr().cast(), [0; 16]);
        for reader in [
            phantomdb_result_read_columns,
            phantomdb_result_read_cells,
            phantomdb_result_read_items,
        ] {
            let mut position = row;
            reader(result, &mut position, values, 3, &mut count, none);
            reader(result, &mut position, values, 2, &mut count, none);
        }
        let mut position = 0;
        let (buffer, size) = (buffer.as_mut_ptr(), 16);
        for (row, column) in
            [(row, column), (PHANTOMDB_WHOLE, PHANTOMDB_WHOLE), (PHANTOMDB_WHOLE, PHANTOMDB_WHOLE)]
        {
            phantomdb_result_read_json(
                result,
                row,
                column,
                &mut position,
                values,
                3,
                &mut count,
                buffer,
                size,
                none,
            );
        }
    }
}

/// Closes, releases and frees all; nothing is pending then.
fn end() {
    let none = ptr::null_mut();
    let pools = handles(|it| it.pools.clone());
    for pool in pools {
        // SAFETY: handles may be anything.
        unsafe { phantomdb_pool_close_timeout(ptr::without_provenance_mut(pool), 0, none) };
    }
    assert_eq!(PENDING.load(Ordering::SeqCst), 0, "callbacks that did not run, or ran twice");
    let left = handles(std::mem::take);
    for (connection, pool) in left.connections {
        let (pool, connection) =
            (ptr::without_provenance_mut(pool), ptr::without_provenance_mut(connection));
        // SAFETY: as above.
        unsafe { phantomdb_pool_release(pool, connection, none) };
    }
    for result in left.results {
        phantomdb_result_free(ptr::without_provenance_mut(result));
    }
}

fuzz_target!(|data: &[u8]| {
    create(&mut Source(&[]));
    let (one, other) = data.split_at(data.len() / 2);
    thread::scope(|scope| {
        for part in [one, other] {
            scope.spawn(move || {
                let mut source = Source(part);
                while !source.0.is_empty() {
                    call(&mut source);
                }
            });
        }
    });
    end();
});
