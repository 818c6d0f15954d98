use crate::support::{Client, Server, command, wait_until};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const ROWS: &str = "/databases/d/tables/t";

/// So many rows of these columns.
fn rows(count: u32, columns: &str) -> String {
    format!(
        "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < {count}) SELECT {columns} FROM r"
    )
}

#[test]
fn names_of_columns_count_and_are_not_copied() {
    let server = Server::start(&["--max-result-bytes", "20000000"]);
    let mut client = server.with_table();
    let name = "x".repeat(1_000_000);
    let wide = rows(2000, &format!("n AS \"{name}\""));
    client.query(&wide).fails(400, "RESULT_TOO_LARGE");
    let one = client.query(&format!("SELECT 1 AS \"{name}\"")).is(200);
    assert_eq!(one["records"][0][&name], 1);
    let twice = client.query("SELECT 1 AS a, 2 AS b, 3 AS a").is(200);
    assert_eq!(twice["rows"], json!([[1, 2, 3]]));
    assert_eq!(twice["records"], json!([{"a": 3, "b": 2}]));
    assert_eq!(client.value("SELECT 1"), 1);
}

#[test]
fn a_result_has_so_many_rows_and_bytes() {
    let server = Server::start(&["--max-result-rows", "100", "--max-result-bytes", "100000"]);
    let mut client = server.with_table();
    assert_eq!(client.query(&rows(100, "n")).is(200)["rowCount"], 100);
    client.query(&rows(101, "n")).fails(400, "RESULT_TOO_LARGE");
    let body = client.query("SELECT printf('%.*c', 30000, 'x')").body;
    assert!(body.len() > 90_000 && body.len() <= 100_000, "{}", body.len());
    client.query("SELECT printf('%.*c', 40000, 'x')").fails(400, "RESULT_TOO_LARGE");
    client.query("SELECT printf('%.*c', 8000, char(1))").fails(400, "RESULT_TOO_LARGE");
    // Nothing of a write whose result is too large stays.
    client.query(&format!("INSERT INTO t (n) {}", rows(101, "n"))).is(200);
    client.query("UPDATE t SET n = 0 RETURNING n").fails(400, "RESULT_TOO_LARGE");
    assert_eq!(client.value("SELECT count(*) FROM t WHERE n = 0"), 0);
    client.get(ROWS).fails(400, "RESULT_TOO_LARGE");
}

#[test]
fn health_is_told_at_once_beside_large_queries() {
    let server = Server::start(&[]);
    server.with_table();
    let large: Vec<_> = (0..2)
        .map(|_| {
            let mut client = server.connect();
            thread::spawn(move || {
                let response = client.query(&rows(100_000, "n, n AS b, n AS c, n AS d"));
                assert_eq!(response.status, 200);
                assert!(response.body.len() > 5_000_000);
            })
        })
        .collect();
    let mut client = server.connect();
    let mut times = Vec::new();
    while !large.iter().all(|query| query.is_finished()) {
        let begun = Instant::now();
        client.get("/health").is(200);
        times.push(begun.elapsed());
        thread::sleep(Duration::from_millis(5));
    }
    for query in large {
        query.join().unwrap();
    }
    times.sort();
    // All but a few, for other programs may have the processors.
    let most = times[times.len() * 9 / 10];
    assert!(times.len() > 10 && most < Duration::from_millis(500), "{} {most:?}", times.len());
}

#[test]
fn a_statement_has_so_much_memory() {
    let server = Server::start(&["--max-statement-memory", "20000000"]);
    let mut client = server.with_table();
    client.query("SELECT length(zeroblob(60000000) || 'x')").fails(400, "MEMORY_LIMIT");
    // What would be a temporary file.
    client.query(&rows(3_000_000, "n, hex(n)").replace("FROM r", "FROM r ORDER BY 2")).is(400);
    let hungry = "WITH RECURSIVE r(n, s) AS (SELECT 1, hex(randomblob(50)) UNION SELECT n + 1, hex(randomblob(50)) FROM r) SELECT count(*) FROM r";
    client.query(hungry).fails(400, "MEMORY_LIMIT");
    assert_eq!(client.value("SELECT 1"), 1);
}

#[test]
fn a_database_and_its_journal_have_so_many_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let most = 8_000_000;
    let server = Server::start(&["--data", data, "--max-database-bytes", &most.to_string()]);
    let mut client = server.with_table();
    let fill = format!("INSERT INTO t (s) {}", rows(1000, "hex(zeroblob(2000))"));
    let mut full = client.query(&fill);
    for _ in 0..10 {
        if full.status != 200 {
            break;
        }
        full = client.query(&fill);
    }
    full.fails(507, "DATABASE_FULL");
    client.query("DELETE FROM t").is(200);
    client.query(&fill).is(200);
    // More pages than SQLite keeps in memory, again and again in one transaction: the journal grows.
    let id = client.begin("");
    client.enter(&id);
    let mut last = client.query("UPDATE t SET s = s || 'x'");
    for _ in 0..1000 {
        if last.status != 200 {
            break;
        }
        last = client.query("UPDATE t SET s = s || 'x'");
    }
    last.fails(507, "DATABASE_FULL");
    client.headers.clear();
    client.post(&format!("/transactions/{id}/rollback"), "");
    client.post(ROWS, r#"{"n":1}"#).is(201);
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let size = entry.unwrap().metadata().unwrap().len();
        assert!(size < 3 * most + 5_000_000, "{size}");
    }
}

#[test]
fn only_the_user_of_the_server_reads_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let modes = || {
        let mut modes: Vec<_> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| {
                (entry.file_name(), entry.metadata().unwrap().permissions().mode() & 0o777)
            })
            .collect();
        modes.sort();
        modes
    };
    let server = Server::start(&["--data", data]);
    let mut client = server.with_table();
    client.post(ROWS, r#"{"n":1}"#).is(201);
    let found = modes();
    assert!(found.len() > 2 && found.iter().all(|(_, mode)| *mode == 0o600), "{found:?}");
    drop(server);
    let file = folder.path().join("d.db");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    // Neither is followed or awaited.
    std::os::unix::fs::symlink(&file, folder.path().join("linked.db")).unwrap();
    let pipe = folder.path().join("pipe.db");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let server = Server::start(&["--data", data]);
    let mut client = server.connect();
    assert_eq!(client.get("/databases").is(200)["databases"], json!(["d"]));
    assert_eq!(client.value("SELECT n FROM t"), 1);
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    client.post("/databases", r#"{"name":"linked"}"#).fails(409, "ALREADY_EXISTS");
    drop(server);
    // Nor is what lies beside a database where its journal would be.
    let journal = folder.path().join("d.db-journal");
    assert!(Command::new("mkfifo").arg(&journal).status().unwrap().success());
    let begun = Instant::now();
    let server = Server::start(&["--data", data]);
    assert_eq!(server.connect().get("/databases").is(200)["databases"], json!([]));
    assert!(begun.elapsed() < crate::support::WAIT_LIMIT);
    drop(server);
    std::fs::remove_file(&journal).unwrap();
    let server = Server::start(&["--data", data]);
    assert_eq!(server.connect().get("/databases").is(200)["databases"], json!(["d"]));
}

#[test]
fn there_are_so_many_connections() {
    let server = Server::start(&["--max-connections", "3"]);
    let mut open: Vec<_> = (0..3).map(|_| server.connect()).collect();
    for client in &mut open {
        client.get("/health").is(200);
    }
    for _ in 0..5 {
        let mut beyond = server.socket();
        beyond.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut text = String::new();
        beyond.read_to_string(&mut text).unwrap();
        assert!(text.starts_with("HTTP/1.1 503 ") && text.contains("retry-after: 1\r\n"), "{text}");
        assert!(text.contains("\"code\":\"TOO_MANY_CONNECTIONS\""), "{text}");
    }
    let stats = open[0].get("/stats").is(200);
    assert_eq!((&stats["connections_open"], &stats["connections_refused"]), (&json!(3), &json!(5)));
    drop(open.pop());
    wait_until("there is room", || {
        let health = server.connect().try_send("GET", "/health", None);
        health.is_ok_and(|response| response.status == 200)
    });
}

#[test]
fn there_are_so_many_transactions_and_databases() {
    let server = Server::start(&["--max-transactions", "2", "--max-databases", "2"]);
    let mut client = server.with_table();
    let first = client.begin("");
    client.begin("");
    let response = client.post("/transactions", "");
    response.fails(429, "TOO_MANY_TRANSACTIONS");
    assert_eq!(response.header("retry-after"), Some("1"));
    client.post(&format!("/transactions/{first}/rollback"), "").is(200);
    client.begin("");
    client.post("/databases", r#"{"name":"e"}"#).is(201);
    client.post("/databases", r#"{"name":"f"}"#).fails(507, "TOO_MANY_DATABASES");
    client.post("/databases", r#"{"name":"e"}"#).fails(409, "ALREADY_EXISTS");
    client.delete("/databases/e").is(200);
    client.post("/databases", r#"{"name":"f"}"#).is(201);
}

#[test]
fn bodies_have_so_many_bytes_together() {
    let server = Server::start(&["--max-total-body-bytes", "100000"]);
    let mut first = server.with_table();
    let head = |length: usize| {
        format!(
            "POST {ROWS} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        )
    };
    let body = format!("{{\"s\":\"{}\"}}", "x".repeat(79_992));
    first.write(head(body.len()).as_bytes()).unwrap();
    first.write(&body.as_bytes()[..70_000]).unwrap();
    let mut second = server.connect();
    wait_until("the first body is at hand", || server.stat("body_bytes") == 70_000);
    let response = second.post(ROWS, &format!("{{\"s\":\"{}\"}}", "y".repeat(50_000)));
    response.fails(503, "SERVER_OVERLOADED");
    assert_eq!(response.header("retry-after"), Some("1"));
    // Its connection lives on, and what is small still fits.
    second.post(ROWS, r#"{"n":1}"#).is(201);
    first.write(&body.as_bytes()[70_000..]).unwrap();
    first.read().unwrap().is(201);
    second.post(ROWS, &format!("{{\"s\":\"{}\"}}", "y".repeat(50_000))).is(201);
}

/// Reads a large response slowly enough that others meet the limit of all.
#[test]
fn large_responses_wait_for_those_that_are_not_read_yet() {
    let server = Server::start(&[
        "--max-result-bytes",
        "20000000",
        "--max-total-result-bytes",
        "20000000",
        "--client-timeout",
        "1",
    ]);
    server.with_table();
    let sql = "SELECT hex(zeroblob(3000000))";
    let body = json!({"query": sql}).to_string();
    let mut deaf = server.socket();
    write!(
        deaf,
        "POST /databases/d/query HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    BufReader::new(&deaf).read_line(&mut String::new()).unwrap();
    let mut client = server.connect();
    assert_eq!(client.value("SELECT 1"), 1, "small ones do not wait");
    assert_eq!(client.query(sql).status, 200, "and large ones wait no longer than for the deaf");
}

#[test]
fn few_descriptors_are_enough() {
    let script = "ulimit -n 256; exec \"$0\" --port 0 --stop-on-stdin-eof";
    let mut child = Command::new("sh")
        .args(["-c", script])
        .arg(command().get_program())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut url = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut url).unwrap();
    let address: std::net::SocketAddr =
        url.trim().strip_prefix("http://").unwrap().parse().unwrap();
    let connect = || {
        let socket = std::net::TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(crate::support::WAIT_LIMIT)).unwrap();
        Client::over(socket)
    };
    let mut client = connect();
    client.post("/databases", r#"{"name":"d"}"#).is(201);
    let mut refused = None;
    for _ in 0..121 {
        client.headers.clear();
        let response = client.post("/transactions", "");
        if response.status != 200 {
            refused = Some(response);
            break;
        }
        let id = response.is(200)["transaction_id"].as_str().unwrap().to_owned();
        client.enter(&id);
        client.query("SELECT 1").is(200);
    }
    refused.expect("a limit").fails(429, "TOO_MANY_TRANSACTIONS");
    client.headers.clear();
    connect().get("/health").is(200);
    connect().get("/databases/d/tables").is(200);
    drop(child.stdin.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("256 file descriptors allow"), "{told}");
}

#[test]
fn inherited_limits_hold_for_the_workers() {
    let script = "ulimit -v 4000000; ulimit -f 100000; ulimit -c 0; exec setpriv --bounding-set=-sys_resource \"$0\" --port 0 --stop-on-stdin-eof --max-statement-memory 8000000000";
    let mut child = Command::new("sh")
        .args(["-c", script])
        .arg(command().get_program())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut url = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut url).unwrap();
    let address: std::net::SocketAddr =
        url.trim().strip_prefix("http://").unwrap().parse().unwrap();
    let mut client = Client::over(std::net::TcpStream::connect(address).unwrap());
    client.post("/databases", r#"{"name":"d"}"#).is(201);
    assert_eq!(client.value("SELECT 1"), 1);
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

#[test]
fn an_integer_is_exact_or_refused() {
    let server = Server::start(&[]);
    let mut client = server.with_table();
    let columns = r#"{"name":"c","columns":[{"name":"i","type":"integer"},{"name":"s","type":"text"},{"name":"f","type":"float"}]}"#;
    client.post("/databases/d/tables", columns).is(201);
    let rows = "/databases/d/tables/c";
    for column in ["i", "s", "f"] {
        for number in [
            "9223372036854775808",
            "18446744073709551615",
            "18446744073709551616",
            "-9223372036854775809",
            "100000000000000000000000000000000000000000",
            "1e400",
        ] {
            let told = [
                client.post(rows, &format!(r#"{{"{column}":{number}}}"#)),
                client.post(&format!("/api/v1{rows}/rows"), &format!(r#"{{"rows":[{{"{column}":{number}}}]}}"#)),
                client.put(rows, &format!(r#"{{"data":{{"{column}":{number}}}}}"#)),
                client.post("/databases/d/query", &format!(r#"{{"query":"INSERT INTO c ({column}) VALUES (?)","parameters":[{number}]}}"#)),
            ];
            for response in told {
                let message = response.fails(400, "BAD_REQUEST");
                assert!(message.contains("does not fit"), "{message}");
            }
        }
    }
    let big = "18446744073709551616";
    for wrong in [
        client.query(&format!("SELECT {big}")),
        client.query(&format!("INSERT INTO c (s) VALUES ({big})")),
        client.get(&format!("{rows}?condition=i%3D{big}")),
        client.delete(&format!("{rows}?condition=i%3D{big}")),
        client.put(rows, &format!(r#"{{"data":{{"i":1}},"condition":"i = {big}"}}"#)),
        client.get(&format!("/api/v1{rows}/rows?where=i%3D{big}")),
        client.get(&format!("/api/v1{rows}/rows?orderBy=i%2B{big}")),
        client.post(
            "/databases/d/tables",
            &format!(
                r#"{{"name":"x","columns":[{{"name":"a","type":"int","defaultValue":{big}}}]}}"#
            ),
        ),
        client.post(
            "/databases/d/tables",
            &format!(
                r#"{{"name":"x","columns":[{{"name":"a","type":"decimal(30)","default":"{big}"}}]}}"#
            ),
        ),
        // A text that SQLite would make a number of.
        client.post(rows, &format!(r#"{{"i":"{big}"}}"#)),
        client.put(rows, &format!(r#"{{"data":{{"f":"{big}"}}}}"#)),
    ] {
        wrong.fails(400, "BAD_REQUEST");
    }
    assert_eq!(client.value("SELECT count(*) FROM c"), 0);
    let exact = [i64::MAX, i64::MIN, 9_007_199_254_740_993, 0];
    for number in exact {
        client.post(rows, &json!({"i": number}).to_string()).is(201);
        client.query(&format!("SELECT {number}")).is(200);
        let found = client.get(&format!("{rows}?condition=i%3D{number}")).is(200);
        assert_eq!(found["records"], json!([{"i": number, "s": null, "f": null}]));
    }
    client.post(rows, &format!(r#"{{"s":"{big}","i":-0}}"#)).is(201);
    let kept = client.query("SELECT s, i, typeof(i) FROM c WHERE s IS NOT NULL").is(200);
    assert_eq!(kept["rows"], json!([[big, 0, "integer"]]));
    let inner = client.post(rows, &format!(r#"{{"s":{{"a": {big}}}}}"#));
    inner.is(201);
    assert_eq!(client.value("SELECT s FROM c WHERE s LIKE '{%'"), format!(r#"{{"a":{big}}}"#));
}

#[test]
fn ilike_finds_what_like_does_in_any_case() {
    let server = Server::start(&[]);
    let mut client = server.with_table();
    for text in ["Anna", "anne", "x ILIKE y", "100%"] {
        client.post(ROWS, &json!({"s": text}).to_string()).is(201);
    }
    let count = |client: &mut Client, sql: &str| {
        client.value(&format!("SELECT count(*) FROM t WHERE {sql}"))
    };
    assert_eq!(count(&mut client, "s ILIKE 'AN%'"), 2);
    assert_eq!(count(&mut client, "s NOT ILIKE 'an%'"), 2);
    assert_eq!(count(&mut client, "s ILIKE '100\\%' ESCAPE '\\'"), 1);
    assert_eq!(count(&mut client, "s = 'x ILIKE y' -- s ILIKE '"), 1);
    assert_eq!(
        client.value("SELECT s AS \"a ILIKE b\" FROM t WHERE s ilike '%ILIKE%'"),
        "x ILIKE y"
    );
    let found = client.get(&format!("{ROWS}?condition=s%20ILIKE%20%27ANN%25%27")).is(200);
    assert_eq!(found["records"].as_array().map(Vec::len), Some(2));
    assert_eq!(
        client.delete(&format!("{ROWS}?condition=s%20ilike%20%27ann%25%27")).is(200)["count"],
        2
    );
    client.query("CREATE TABLE ilike (ilike text)").is(200);
    client.query("INSERT INTO ilike (ilike) VALUES ('A')").is(200);
    assert_eq!(client.value("SELECT ilike FROM ilike WHERE ilike ILIKE 'a'"), "A");
    client.query("DROP TABLE ilike").is(200);
    client.query("CREATE VIEW ilike(a) AS SELECT 'B'").is(200);
    assert_eq!(client.value("SELECT a FROM ilike WHERE a ILIKE ('b')"), "B");
}

#[test]
fn an_error_is_short_whatever_was_sent() {
    let server = Server::start(&[]);
    let mut client = server.with_table();
    for long in ["a", "é"] {
        let name = long.repeat(500_000);
        for response in [
            client.query(&format!("SELECT {name}")),
            client.query(&format!("SELECT 1 FROM {name}")),
            client.post(ROWS, &format!(r#"{{"{name}":1}}"#)),
        ] {
            let message = response.fails(400, "SQL_ERROR");
            assert!(message.len() < 2100 && message.contains(" … "), "{}", message.len());
        }
    }
    assert!(client.query("SELECT nowhere").fails(400, "SQL_ERROR").contains("nowhere"));
}

/// Its members would take many times their size in the server itself.
#[test]
fn what_no_worker_takes_apart_is_small() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    let body = |size: usize| format!("{{\"name\":\"d\"{}}}", " ".repeat(size - 12));
    for path in ["/databases", "/api/v1/databases", "/transactions"] {
        client.post(path, &body(65_537)).fails(413, "PAYLOAD_TOO_LARGE");
    }
    client.post("/databases", &body(65_536)).is(201);
}

#[test]
fn a_key_that_is_there_already_is_409_on_every_route() {
    let server = Server::start(&[]);
    let mut client = server.with_table();
    client.post(ROWS, r#"{"id":1}"#).is(201);
    for response in [
        client.post(ROWS, r#"{"id":1}"#),
        client.post(&format!("/api/v1{ROWS}/rows"), r#"{"rows":[{"id":2},{"id":1}]}"#),
        client.query("INSERT INTO t (id) VALUES (1)"),
    ] {
        response.fails(409, "ALREADY_EXISTS");
    }
    assert_eq!(client.value("SELECT count(*) FROM t"), Value::from(1));
}
