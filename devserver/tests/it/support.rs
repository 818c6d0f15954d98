//! A server of one's own, and an HTTP client that hides nothing.

use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Nothing in these tests takes so long unless it hangs.
pub const WAIT_LIMIT: Duration = Duration::from_secs(60);

pub struct Server {
    pub child: Child,
    pub url: String,
    pub address: SocketAddr,
}

impl Server {
    pub fn start(options: &[&str]) -> Self {
        let mut child = command()
            .args(["--port", "0", "--stop-on-stdin-eof"])
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut url = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut url).unwrap();
        let url = url.strip_suffix('\n').expect("a first line").to_owned();
        let address = url.split_once("://").unwrap().1.parse().expect("an address in the URL");
        Self { child, url, address }
    }

    pub fn connect(&self) -> Client {
        Client::over(self.socket())
    }

    pub fn socket(&self) -> TcpStream {
        let socket = TcpStream::connect(self.address).unwrap();
        socket.set_read_timeout(Some(WAIT_LIMIT)).unwrap();
        socket
    }

    /// A connection, a database and a table `t (id integer primary key, s, n)`.
    pub fn with_table(&self) -> Client {
        self.make_table(self.connect())
    }

    /// The same by a client that sends a header each time.
    pub fn with_table_and(&self, header: &str) -> Client {
        let mut client = self.connect();
        client.headers = vec![header.to_owned()];
        self.make_table(client)
    }

    fn make_table(&self, mut client: Client) -> Client {
        client.post("/databases", r#"{"name":"d"}"#).is(201);
        client
            .post(
                "/databases/d/tables",
                r#"{"name":"t","columns":[{"name":"id","type":"integer","primaryKey":true},
                    {"name":"s","type":"string"},{"name":"n","type":"integer"}]}"#,
            )
            .is(201);
        client
    }

    pub fn stat(&self, name: &str) -> u64 {
        self.connect().get("/stats").is(200)[name].as_u64().unwrap()
    }

    /// The processes that the server has started, and whether each is running now.
    pub fn workers(&self) -> Vec<(u32, bool)> {
        let parent = self.child.id().to_string();
        std::fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse::<u32>().ok())
            .filter_map(|id| {
                let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
                let mut fields = stat.rsplit_once(") ")?.1.split(' ');
                let state = fields.next()?;
                (fields.next()? == parent && state != "Z").then_some((id, state == "R"))
            })
            .collect()
    }

    pub fn signal(&self, name: &str) {
        self.signal_to(name, self.child.id());
    }

    pub fn signal_to(&self, name: &str, process: u32) {
        let kill = format!("kill -{name} {process}");
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    pub fn exit_code(&mut self) -> Option<i32> {
        let child = &mut self.child;
        let mut code = None;
        wait_until("the server exits", || {
            let status = child.try_wait().unwrap();
            code = status.and_then(|status| status.code());
            status.is_some()
        });
        code
    }
}

impl Drop for Server {
    /// Asks before it kills: a server that is killed cannot clean up after itself.
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let deadline = Instant::now() + Duration::from_secs(2);
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(2));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_phantomdb-devserver"));
    command.env_remove("PHANTOMDB_DEVSERVER_TOKEN");
    command
}

pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + WAIT_LIMIT;
    while !condition() {
        assert!(Instant::now() < deadline, "in vain waited until {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

pub trait Stream: Read + Write + Send {}

impl<S: Read + Write + Send> Stream for S {}

/// One connection.
pub struct Client {
    stream: BufReader<Box<dyn Stream>>,
    pub headers: Vec<String>,
}

#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Client {
    pub fn over(stream: impl Stream + 'static) -> Self {
        Self { stream: BufReader::new(Box::new(stream)), headers: Vec::new() }
    }

    pub fn get(&mut self, path: &str) -> Response {
        self.send("GET", path, None)
    }

    pub fn delete(&mut self, path: &str) -> Response {
        self.send("DELETE", path, None)
    }

    pub fn post(&mut self, path: &str, body: &str) -> Response {
        self.send("POST", path, Some(body))
    }

    pub fn put(&mut self, path: &str, body: &str) -> Response {
        self.send("PUT", path, Some(body))
    }

    pub fn query(&mut self, sql: &str) -> Response {
        let body = serde_json::json!({"query": sql}).to_string();
        self.post("/databases/d/query", &body)
    }

    /// The single value that a query gives.
    pub fn value(&mut self, sql: &str) -> Value {
        self.query(sql).is(200)["rows"][0][0].clone()
    }

    pub fn begin(&mut self, body: &str) -> String {
        let response = self.post("/transactions", body).is(200);
        response["transaction_id"].as_str().unwrap().to_owned()
    }

    /// From here on each request belongs to the transaction.
    pub fn enter(&mut self, transaction: &str) {
        self.headers.push(format!("X-PhantomDB-Transaction: {transaction}"));
    }

    pub fn send(&mut self, method: &str, path: &str, body: Option<&str>) -> Response {
        self.try_send(method, path, body).expect("a response")
    }

    pub fn try_send(
        &mut self,
        method: &str,
        path: &str,
        body: Option<&str>,
    ) -> std::io::Result<Response> {
        let mut text = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n");
        for header in &self.headers {
            text += &format!("{header}\r\n");
        }
        match body {
            Some(body) => {
                text += &format!(
                    "Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                );
            }
            None => text += "\r\n",
        }
        self.write(text.as_bytes())?;
        self.read()
    }

    pub fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.get_mut().write_all(bytes)?;
        self.stream.get_mut().flush()
    }

    pub fn read_head(&mut self) -> std::io::Result<String> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.stream.read_line(&mut head)? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(head.to_lowercase())
    }

    pub fn read(&mut self) -> std::io::Result<Response> {
        let head = self.read_head()?;
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let length = header(&head, "content-length").map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok(Response { status, head, body: String::from_utf8(body).unwrap() })
    }

    /// Whether the server has closed the connection, and nothing came before.
    pub fn is_closed(&mut self) -> bool {
        match self.stream.read(&mut [0]) {
            Ok(0) => true,
            Ok(_) => false,
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}

impl Response {
    /// The body, after a look at the status; an error must have its three fields.
    #[track_caller]
    pub fn is(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        if self.body.is_empty() {
            return Value::Null;
        }
        let body: Value = serde_json::from_str(&self.body).expect("JSON");
        if status >= 400 {
            assert_eq!(self.header("content-type"), Some("application/json"));
            assert!(body["code"].as_str().is_some_and(|code| !code.is_empty()), "{body}");
            assert!(body["message"].as_str().is_some_and(|text| !text.is_empty()), "{body}");
            assert!(body["details"].is_object(), "{body}");
        }
        body
    }

    /// Like `is`, for an error of this code.
    #[track_caller]
    pub fn fails(&self, status: u16, code: &str) -> String {
        let body = self.is(status);
        assert_eq!(body["code"], code, "{body}");
        body["message"].as_str().unwrap().to_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }
}

fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key == name).then(|| value.trim())
    })
}

pub fn encoded(name: &str) -> String {
    name.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
