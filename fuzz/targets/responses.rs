//! Whatever a server sends, byte by byte or at once: the client says what it is or what is
//! wrong with it, and every view of a response holds.
//!
//! The first byte chooses the request, the second in how large pieces the rest comes.
#![no_main]

use std::io::Write;
use std::mem::MaybeUninit;
use std::net::{Shutdown, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use phantomdb::internal::{
    CancelHandle, Canceller, Connection, DialLimiter, DialPermit, Endpoint, JsonToken, Poller,
    Progress, SocketHandle, Table,
};
use phantomdb::{Code, Error, Options, Request, Response, Result, Secret};

const TOKEN: &str = "the-token-that-nobody-sees";
/// So many consecutive characters of it are shown nowhere, whatever the server sends.
const RUN: usize = 8;
/// No response of so few bytes needs more looks at the socket.
const MANY: usize = 100_000;

/// In about so many pieces a response comes at most.
const MOST_PIECES: usize = 12;

/// There is no server to dial.
struct Closed;

impl DialLimiter for Closed {
    fn permit(&self, _: Instant, _: &SocketHandle) -> Result<Option<DialPermit>> {
        Err(Error::new(Code::Unavailable, "there is no network here"))
    }

    fn wake(&self) {}
}

struct Unattached;

impl Canceller for Unattached {
    fn attach(&self, _cancel: &CancelHandle) -> bool {
        true
    }

    fn detach(&self) {}
}

struct Setting {
    endpoint: Arc<Endpoint>,
    poller: Poller,
    requests: Vec<Request>,
}

fn setting() -> &'static Setting {
    static SETTING: OnceLock<Setting> = OnceLock::new();
    SETTING.get_or_init(|| {
        let options = Options {
            token: Some(Secret::new(TOKEN)),
            max_response_bytes: 2000,
            ..Options::default()
        };
        Setting {
            endpoint: Arc::new(Endpoint::new(&options).expect("the options are good")),
            poller: Poller::new().expect("there are descriptors"),
            requests: vec![
                Request::health_check(),
                Request::list_databases(),
                Request::select("d", "t", None).expect("it is good"),
                Request::execute_query("d", "SELECT 1", None).expect("it is good"),
                Request::begin_transaction(None).expect("it is good"),
                Request::insert("d", "t", "{}").expect("it is good"),
                Request::raw("GET", "/", None).expect("it is good"),
            ],
        }
    })
}

fuzz_target!(|data: &[u8]| {
    let [choice, piece, bytes @ ..] = data else { return };
    let setting = setting();
    let request = &setting.requests[usize::from(*choice) % setting.requests.len()];
    // Small ones cost the most.
    let mut pieces = bytes.chunks(usize::from(*piece).max(bytes.len() / MOST_PIECES).max(1));

    let (ours, mut theirs) = UnixStream::pair().expect("a pair of sockets");
    let mut connection = Connection::new(setting.endpoint.clone(), Arc::new(Closed));
    connection.adopt(TcpStream::from(OwnedFd::from(ours)));
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut progress =
        connection.start(request, deadline, Some(Arc::new(Unattached)), Some(&setting.poller));
    for _ in 0..MANY {
        match progress {
            Progress::InFlight(in_flight) => {
                // A response that is refused before its end is not taken in.
                let _ = match pieces.next() {
                    Some(piece) => theirs.write_all(piece),
                    None => theirs.shutdown(Shutdown::Write),
                };
                progress = connection.resume(request, in_flight);
            }
            Progress::NeedsThread { .. } => return,
            Progress::Unread(unread) => {
                progress = Progress::Done(connection.read(request, unread));
            }
            Progress::Done(outcome) => {
                hides_the_token(&format!("{connection:?} {outcome:?}"));
                return look_at(outcome);
            }
        }
    }
    panic!("the request does not end");
});

fn hides_the_token(text: &str) {
    let text = text.to_ascii_lowercase();
    for part in TOKEN.as_bytes().windows(RUN) {
        let part = std::str::from_utf8(part).expect("it is ASCII");
        assert!(!text.contains(part), "{part} is shown: {text}");
    }
}

/// That an error of a result has a text to act on, and shows no token.
fn checked<T>(outcome: Result<T>) -> Option<T> {
    outcome.map_err(|error| hides_the_token(error.message())).ok()
}

fn look_at(outcome: Result<Response>) {
    let response = match outcome {
        Ok(response) => response,
        Err(error) => {
            assert!(!error.message().is_empty());
            let is_plain = |c: char| !c.is_control() && !matches!(c, '\u{2028}'..='\u{202e}');
            assert!(error.message().chars().all(is_plain), "{error:?}");
            assert!(error.message().len() < 4000, "{error}");
            assert_ne!(error.code(), Code::Panic, "{error}");
            return;
        }
    };
    let text =
        checked(response.text_with_nul()).expect("no response here has a text of a megabyte");
    assert!(text.ends_with('\0'));
    read_json(&response);
    assert!((200..300).contains(&response.status()));
    let _ = (response.affected_rows(), checked(response.row_count()));
    let _ = response.transaction_id();
    if let Some(names) = checked(response.names()) {
        assert_eq!(names.iter().count(), names.len());
    }
    let Some(table) = checked(response.table()) else { return };
    for column in 0..table.column_count() {
        let name = table.column_name(column).expect("it exists");
        assert!(table.column_index(name).expect("it exists") <= column);
    }
    for row in 0..table.row_count() {
        for column in 0..table.column_count() {
            let cell = table.cell(row, column).expect("it exists");
            let _ = (cell.kind(), cell.text(), checked(cell.double()), checked(cell.boolean()));
            if let Some(number) = checked(cell.int64()) {
                assert!(cell.double().is_ok(), "{number} is not a double");
            }
        }
    }
    assert!(table.cell(table.row_count(), 0).is_err());
    read_cells(table);
}

/// What is read in order is what is read by row and column, from whichever place it goes on.
fn read_cells(table: &Table) {
    let (mut position, mut before, mut count) = (0, None, 0);
    loop {
        let mut cells = table.cells(position).expect("it is a place to go on");
        let Some(cell) = cells.next() else { break };
        let place = (cell.row(), cell.column());
        assert!(before.is_none_or(|before| before < place), "{before:?}, then {place:?}");
        let same = table.cell(place.0, place.1).expect("it exists");
        assert_eq!((cell.kind(), cell.text_with_nul()), (same.kind(), same.text_with_nul()));
        assert!(cell.text_with_nul().ends_with('\0'));
        (position, before, count) = (cells.position(), Some(place), count + 1);
    }
    let is_there = |row, column| table.cell(row, column).is_ok_and(|cell| !cell.is_null());
    let rows = 0..table.row_count();
    let columns = 0..table.column_count();
    let values = rows.map(|row| columns.clone().filter(|column| is_there(row, *column)).count());
    assert!(values.sum::<usize>() <= count);
}

/// A response that is JSON is a well-formed sequence of tokens.
fn read_json(response: &Response) {
    let Some(tokens) = checked(response.tokens(None, 0)) else { return };
    let mut depth = 0;
    for token in tokens {
        match token {
            JsonToken::Array | JsonToken::Object => depth += 1,
            JsonToken::End => depth -= 1,
            JsonToken::String(it) | JsonToken::Key(it) => {
                let mut buffer = vec![MaybeUninit::uninit(); it.most()];
                assert!(it.decode(&mut buffer).is_some_and(|(length, _)| length <= it.most()));
            }
            _ => {}
        }
        assert!((0..=128).contains(&depth));
    }
    assert_eq!(depth, 0);
}
