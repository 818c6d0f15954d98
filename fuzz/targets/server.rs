//! Whatever a client sends to the development server: each request gets a response of a known
//! kind, never a 500, and nothing reaches beyond the databases.
//!
//! An input is a list of requests, each a byte that chooses what it is and two texts; or, if its first
//! byte is 0, the bytes of a connection. The server runs in this process, its workers as threads.
#![no_main]

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use phantomdb_devserver::app::App;
use phantomdb_devserver::engine;
use phantomdb_devserver::figures::Figures;
use phantomdb_devserver::origin::Names;
use phantomdb_devserver::routes::router;
use phantomdb_devserver::serve::{ServerContext, serve};
use phantomdb_devserver::store::{Limits, Store};
use phantomdb_devserver::worker::Spawner;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

const MIB: usize = 1024 * 1024;

/// Between two requests, and between the texts of one.
const NEXT_REQUEST: u8 = 0x1e;
const NEXT_TEXT: u8 = 0x1f;

/// No response takes so long: statements are stopped after a second.
const LONG: Duration = Duration::from_secs(10);

/// Every status that a client may get, but no 500.
const STATUSES: [u64; 16] =
    [200, 201, 204, 400, 401, 403, 404, 405, 408, 409, 413, 414, 429, 431, 503, 507];

struct Setting {
    runtime: Runtime,
    context: ServerContext,
    _drain: watch::Sender<bool>,
    outer: TempDir,
    data: PathBuf,
}

fn setting() -> &'static Setting {
    static SETTING: OnceLock<Setting> = OnceLock::new();
    SETTING.get_or_init(|| {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let outer = tempfile::tempdir().expect("a folder");
        let data = outer.path().join("data");
        std::fs::create_dir(&data).expect("a folder");
        let limits = Limits {
            lock: Duration::from_millis(100),
            query: Duration::from_secs(1),
            transaction: Duration::from_secs(60),
            transactions: 4,
            databases: 8,
            results_bytes: 8 * MIB as u64,
            statement: engine::Limits {
                database_bytes: 4 * MIB as u64,
                memory_bytes: 256 * MIB as u64,
                result_rows: 10_000,
                result_bytes: 4 * MIB,
            },
        };
        let store = runtime
            .block_on(Store::open(data.clone(), false, limits, Spawner::Threads))
            .expect("a store");
        let figures = Arc::new(Figures::new());
        let app = Arc::new(App {
            store: Arc::new(store),
            figures: Arc::clone(&figures),
            names: Names::new(["127.0.0.1"], false),
            token: None,
            max_result_bytes: 4 * MIB,
            max_body_bytes: MIB,
            max_total_body_bytes: 4 * MIB,
            bodies: Arc::new(Semaphore::new(4 * MIB)),
            client_timeout: Duration::from_secs(1),
        });
        let (drain, draining) = watch::channel(false);
        let context = ServerContext {
            router: router(&app),
            figures,
            most: 10,
            keep_alive: Duration::from_secs(60),
            client: Duration::from_secs(1),
            draining,
        };
        Setting { runtime, context, _drain: drain, outer, data }
    })
}

/// A connection to the server.
struct Client {
    stream: DuplexStream,
    transaction: Option<String>,
    received: Vec<u8>,
}

#[derive(Debug)]
struct Response {
    status: u64,
    head: String,
    body: Vec<u8>,
}

impl Client {
    fn new() -> Self {
        let (near, far) = tokio::io::duplex(MIB);
        let context = setting().context.clone();
        let open = context.figures.connection();
        tokio::spawn(serve(far, open, context));
        Self { stream: near, transaction: None, received: Vec::new() }
    }

    async fn send(&mut self, method: &str, path: &str, body: Option<&[u8]>) -> Response {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n");
        if let Some(id) = &self.transaction {
            head += &format!("X-PhantomDB-Transaction: {id}\r\n");
        }
        if let Some(body) = body {
            let length = body.len();
            head += &format!("Content-Type: application/json\r\nContent-Length: {length}\r\n");
        }
        self.write(format!("{head}\r\n").as_bytes()).await;
        self.write(body.unwrap_or_default()).await;
        let response = self.read().await.expect("a response");
        response.check();
        response
    }

    async fn query(&mut self, sql: &str) -> Response {
        let body = json!({"query": sql}).to_string();
        self.send("POST", "/databases/d/query", Some(body.as_bytes())).await
    }

    async fn write(&mut self, bytes: &[u8]) {
        // A server that has heard enough may have left.
        let _ = self.stream.write_all(bytes).await;
    }

    /// The next response; none if the connection ends.
    async fn read(&mut self) -> Option<Response> {
        loop {
            if let Some(response) = self.complete() {
                return Some(response);
            }
            let mut piece = [0; 8192];
            let more = timeout(LONG, self.stream.read(&mut piece)).await.expect("it goes on");
            match more.unwrap_or(0) {
                0 => return None,
                length => self.received.extend_from_slice(&piece[..length]),
            }
        }
    }

    fn complete(&mut self) -> Option<Response> {
        let end = self.received.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        let head = String::from_utf8(self.received[..end].to_vec()).expect("a head is text");
        let head = head.to_lowercase();
        let status = head.split(' ').nth(1)?.parse().expect("a status");
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |length| length.parse().expect("a length"));
        if self.received.len() < end + length {
            return None;
        }
        let body = self.received[end..end + length].to_vec();
        self.received.drain(..end + length);
        Some(Response { status, head, body })
    }
}

impl Response {
    fn check(&self) {
        let shown = || String::from_utf8_lossy(&self.body).into_owned();
        assert!(STATUSES.contains(&self.status), "{} {}", self.status, shown());
        if self.body.is_empty() || !self.head.contains("application/json") {
            return;
        }
        let body: Value = serde_json::from_slice(&self.body).expect("JSON");
        if self.status >= 400 {
            assert!(body["code"].is_string() && body["message"].is_string(), "{}", shown());
            assert!(body["details"].is_object(), "{}", shown());
        }
        if matches!(self.status, 429 | 503) {
            assert!(self.head.contains("\r\nretry-after: "), "{}", self.head);
        }
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

fn encoded(text: &[u8]) -> String {
    percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// What may stand in a line of a head.
fn line(text: &[u8]) -> String {
    text.iter().filter(|byte| (0x20..0x7f).contains(*byte)).map(|byte| char::from(*byte)).collect()
}

async fn one(client: &mut Client, choice: u8, first: &[u8], second: &[u8]) {
    const TABLE: &str = "/databases/d/tables/t";
    const QUERY: &str = "/databases/d/query";
    let (a, b) = (encoded(first), encoded(second));
    match choice % 20 {
        0 | 1 => {
            let sql = String::from_utf8_lossy(first);
            let parameters = if second.is_empty() { b"[]" } else { second };
            let mut body = format!("{{\"query\":{},\"parameters\":", json!(sql)).into_bytes();
            body.extend_from_slice(parameters);
            body.push(b'}');
            client.send("POST", QUERY, Some(&body)).await;
        }
        2 => drop(client.send("POST", QUERY, Some(first)).await),
        3 => drop(client.send("POST", TABLE, Some(first)).await),
        4 => drop(client.send("GET", &format!("{TABLE}?condition={a}"), None).await),
        5 => drop(client.send("PUT", TABLE, Some(first)).await),
        6 => drop(client.send("DELETE", &format!("{TABLE}?condition={a}"), None).await),
        7 => drop(client.send("POST", "/databases/d/tables", Some(first)).await),
        8 => {
            let path = format!("/api/v1{TABLE}/rows?where={a}&orderBy={b}");
            client.send("GET", &path, None).await;
        }
        9 => drop(client.send("POST", &format!("/api/v1{TABLE}/rows"), Some(first)).await),
        10 => drop(client.send("GET", &format!("/api/v1/databases/d/tables/{a}"), None).await),
        11 => drop(client.send("DELETE", &format!("/databases/d/tables/{a}"), None).await),
        12 => {
            let begun = client.send("POST", "/transactions", Some(first)).await;
            if begun.status == 200 {
                let id = begun.json()["transaction_id"].as_str().map(str::to_owned);
                client.transaction = id;
            }
        }
        13 | 14 => {
            if let Some(id) = client.transaction.take() {
                let end = if choice % 20 == 13 { "commit" } else { "rollback" };
                client.send("POST", &format!("/transactions/{id}/{end}"), None).await;
            }
        }
        15 => drop(client.send("POST", "/databases", Some(first)).await),
        16 => drop(client.send("DELETE", &format!("/databases/{a}?{b}"), None).await),
        17 => {
            let (host, origin) = (line(first), line(second));
            let mut other = Client::new();
            let request =
                format!("GET /databases HTTP/1.1\r\nHost: {host}\r\nOrigin: {origin}\r\n\r\n");
            other.write(request.as_bytes()).await;
            if let Some(response) = other.read().await {
                response.check();
                // It takes an Origin that is the Host's, and few Hosts.
                if response.status == 200 {
                    let origin = origin.trim().to_lowercase();
                    let local = host.trim().to_lowercase();
                    let known = local.starts_with("localhost")
                        || local.starts_with(|first: char| first.is_ascii_digit() || first == '[');
                    assert!(known && origin.starts_with("http://"), "{host:?} {origin:?}");
                }
            }
        }
        18 => {
            let path: String = line(first).chars().filter(|byte| *byte != ' ').collect();
            let method = ["GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD"][second.len() % 6];
            // What is not a URL ends the connection.
            let mut other = Client::new();
            let request = format!("{method} /{path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
            other.write(request.as_bytes()).await;
            if method != "HEAD" {
                if let Some(response) = other.read().await {
                    response.check();
                }
            }
        }
        _ => exact(client, first).await,
    }
}

/// An integer comes back as it went, or is refused.
async fn exact(client: &mut Client, text: &[u8]) {
    let digits: String =
        text.iter().filter(|byte| byte.is_ascii_digit()).map(|byte| char::from(*byte)).collect();
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return;
    }
    let sign = if text.first() == Some(&b'-') { "-" } else { "" };
    let number = format!("{sign}{digits}");
    let fits = number.parse::<i64>().is_ok();
    let body = format!("{{\"query\":\"SELECT ?\",\"parameters\":[{number}]}}");
    let bound = client.send("POST", "/databases/d/query", Some(body.as_bytes())).await;
    let literal = client.query(&format!("SELECT {number}")).await;
    for response in [bound, literal] {
        // A transaction of an earlier request may have been rolled back meanwhile.
        if response.status == 404 || response.status == 409 {
            continue;
        }
        assert_eq!(response.status, if fits { 200 } else { 400 }, "{number}");
        if fits {
            let found = format!("\"rows\":[[{number}]]");
            let body = String::from_utf8(response.body).expect("text");
            assert!(body.contains(&found), "{number}: {body}");
        }
    }
}

async fn requests(input: &[u8]) {
    let mut client = Client::new();
    client.send("DELETE", "/databases/d", None).await;
    client.send("POST", "/databases", Some(b"{\"name\":\"d\"}")).await;
    let table = br#"{"name":"t","columns":[{"name":"id","type":"integer","primaryKey":true},{"name":"s","type":"string"},{"name":"n","type":"integer"}]}"#;
    client.send("POST", "/databases/d/tables", Some(table)).await;
    client.send("POST", "/databases/d/tables/t", Some(br#"{"s":"Anna","n":1}"#)).await;
    for request in input.split(|byte| *byte == NEXT_REQUEST).take(16) {
        let Some((choice, texts)) = request.split_first() else { continue };
        let mut texts = texts.splitn(2, |byte| *byte == NEXT_TEXT);
        let (first, second) = (texts.next().unwrap_or_default(), texts.next().unwrap_or_default());
        one(&mut client, *choice, first, second).await;
    }
    if let Some(id) = client.transaction.take() {
        client.send("POST", &format!("/transactions/{id}/rollback"), None).await;
    }
    // Whatever was done, the server's own record of the tables is there.
    let described = client.send("GET", "/api/v1/databases/d", None).await;
    if described.status == 200 {
        assert!(described.json()["createdAt"].is_string(), "{}", described.json());
    }
    for name in
        client.send("GET", "/databases", None).await.json()["databases"].as_array().expect("a list")
    {
        let name = name.as_str().expect("a name");
        client.send("DELETE", &format!("/databases/{}", encoded(name.as_bytes())), None).await;
    }
}

async fn bytes(input: &[u8]) {
    let mut client = Client::new();
    client.write(input).await;
    let last = b"\r\n\r\nGET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    client.write(last).await;
    // A request may say that more is to come; then the server waits, and would for a second.
    while let Ok(Some(response)) = timeout(Duration::from_millis(20), client.read()).await {
        response.check();
    }
}

fuzz_target!(|input: &[u8]| {
    let setting = setting();
    setting.runtime.block_on(async {
        match input.split_first() {
            Some((0, rest)) => bytes(rest).await,
            _ => requests(input).await,
        }
    });
    let names = |path: &std::path::Path| {
        let entries = std::fs::read_dir(path).expect("a folder");
        entries.map(|entry| entry.expect("an entry").file_name()).collect::<Vec<_>>()
    };
    assert_eq!(names(setting.outer.path()), ["data"]);
    for name in names(&setting.data) {
        let name = name.into_string().expect("a name in ASCII");
        assert!(
            [".db", ".db-wal", ".db-shm", ".db-journal"].iter().any(|end| name.ends_with(end)),
            "{name}"
        );
    }
});
