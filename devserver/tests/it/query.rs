use crate::support::Server;
use serde_json::{Value, json};

#[test]
fn a_query_result_has_every_name_in_use() {
    let server = Server::start(&[]);
    let mut client = server.with_table();
    let body =
        r#"{"query":"INSERT INTO t (s, n) VALUES (?, ?), (?, ?)","parameters":["a",1,"b",2]}"#;
    let done = client.post("/databases/d/query", body).is(200);
    assert_eq!((&done["affectedRows"], &done["affected_rows"]), (&json!(2), &json!(2)));
    assert_eq!((&done["rows"], &done["rowCount"]), (&json!([]), &json!(0)));
    let found = client
        .post(
            "/databases/d/query",
            r#"{"query":"SELECT s, n FROM t WHERE n > ?1 ORDER BY n;","parameters":[0]}"#,
        )
        .is(200);
    assert_eq!(
        found,
        json!({
            "columns": ["s", "n"],
            "rows": [["a", 1], ["b", 2]],
            "rowCount": 2,
            "affectedRows": 0,
            "results": [{"s": "a", "n": 1}, {"s": "b", "n": 2}],
            "records": [{"s": "a", "n": 1}, {"s": "b", "n": 2}],
            "affected_rows": 0,
        })
    );
    let returned = client.query("UPDATE t SET n = n + 1 RETURNING n").is(200);
    assert_eq!((&returned["rows"], &returned["affectedRows"]), (&json!([[2], [3]]), &json!(2)));
    assert_eq!(client.query("CREATE INDEX i ON t (n)").is(200)["affectedRows"], 0);
    assert_eq!(client.query("SELECT 1").is(200)["affectedRows"], 0);
}

#[test]
fn values_come_back_as_they_went() {
    let server = Server::start(&[]);
    let mut client = server.with_table();
    client
        .post(
            "/databases/d/tables",
            r#"{"name":"v","columns":[
                {"name":"i","type":"int"},{"name":"s","type":"string"},{"name":"v","type":"varchar(20)"},
                {"name":"b","type":"boolean"},{"name":"f","type":"float"},{"name":"t","type":"timestamp"}]}"#,
        )
        .is(201);
    let row = json!({
        "i": i64::MIN, "s": "007", "v": "grün € 😀 \u{0} \" ' \\",
        "b": true, "f": 0.1, "t": "2024-02-29T12:00:00Z"
    });
    client.post("/databases/d/tables/v", &row.to_string()).is(201);
    assert_eq!(client.get("/databases/d/tables/v").is(200)["records"], json!([row]));
    let odd = json!({"i": 9_007_199_254_740_993_i64, "s": {"a": [1, null]}, "v": [], "b": false, "f": 2.0, "t": null});
    client.post("/databases/d/tables/v", &odd.to_string()).is(201);
    let back = client.query("SELECT i, s, v, b, f, t FROM v WHERE b = 0");
    assert_eq!(
        back.is(200)["rows"],
        json!([[9_007_199_254_740_993_i64, r#"{"a":[1,null]}"#, "[]", false, 2.0, null]])
    );
    assert!(back.body.contains("2.0"), "a float lost its point: {}", back.body);
    let typed = r#"{"query":"SELECT typeof(?), typeof(?), typeof(?), typeof(?), ?","parameters":[1,1.0,"1",null,true]}"#;
    assert_eq!(
        client.post("/databases/d/query", typed).is(200)["rows"],
        json!([["integer", "real", "text", "null", 1]])
    );
    assert_eq!(client.value("SELECT x'00ff'"), "00ff");
    assert_eq!(client.value("SELECT 9e999"), Value::Null);
}

#[test]
fn bad_sql_is_the_clients_fault() {
    let server = Server::start(&[]);
    let mut client = server.with_table();
    for sql in
        ["", " ", "-- nothing", "SELEC 1", "SELECT * FROM none", "SELECT 1 WHERE", "SELECT '\0'"]
    {
        client.query(sql).fails(400, "SQL_ERROR");
    }
    let several = client.query("SELECT 1; DROP TABLE t").fails(400, "SQL_ERROR");
    assert!(several.contains("several"), "{several}");
    for body in [
        r#"{"query":"SELECT ?"}"#,
        r#"{"query":"SELECT ?","parameters":[1,2]}"#,
        r#"{"query":"SELECT 1","parameters":{"a":1}}"#,
        r#"{"parameters":[]}"#,
        r#"{"query":1}"#,
        r#"{"query":"SELECT ?","parameters":[18446744073709551615]}"#,
    ] {
        client.post("/databases/d/query", body).is(400);
    }
    client.post("/databases/x/query", r#"{"query":"SELECT 1"}"#).fails(404, "DATABASE_NOT_FOUND");
}

#[test]
fn a_statement_stays_within_its_database() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&["--data", folder.path().to_str().unwrap()]);
    let mut client = server.with_table();
    let stolen = folder.path().join("stolen");
    let path = stolen.to_str().unwrap();
    for sql in [
        format!("ATTACH '{path}' AS x"),
        format!("ATTACH ':memory:' AS {}", 'x'),
        "DETACH main".into(),
        "VACUUM".into(),
        format!("VACUUM INTO '{path}'"),
        "PRAGMA journal_mode = DELETE".into(),
        "PRAGMA synchronous = OFF".into(),
        "PRAGMA user_version = 1".into(),
        "PRAGMA writable_schema = ON".into(),
        "PRAGMA wal_checkpoint(TRUNCATE)".into(),
        "PRAGMA database_list".into(),
        "PRAGMA temp_store_directory = '/'".into(),
        "SELECT * FROM pragma_database_list".into(),
        format!("SELECT load_extension('{path}')"),
        format!("SELECT writefile('{path}', 'x')"),
        "BEGIN".into(),
        "BEGIN IMMEDIATE".into(),
        "COMMIT".into(),
        "END".into(),
        "ROLLBACK".into(),
        "SAVEPOINT request".into(),
        "RELEASE request".into(),
        "ROLLBACK TO request".into(),
        "CREATE TEMP TABLE x (a)".into(),
        "CREATE TABLE temp.x (a)".into(),
        "CREATE TEMP VIEW x AS SELECT 1".into(),
        "SELECT * FROM __phantomdb_created".into(),
        "DROP TABLE __phantomdb_created".into(),
        "DELETE FROM __phantomdb_created".into(),
        "CREATE VIEW v AS SELECT * FROM t; SELECT 1".into(),
        "ALTER TABLE t RENAME TO __phantomdb_t".into(),
        "CREATE TABLE __phantomdb_t (a)".into(),
    ] {
        let response = client.query(&sql);
        assert_eq!(response.status, 400, "{sql}: {}", response.body);
        response.is(400);
    }
    let message = client.query("BEGIN").fails(400, "SQL_NOT_ALLOWED");
    assert!(message.contains("POST /transactions"), "{message}");
    client.query("VACUUM").fails(400, "SQL_NOT_ALLOWED");
    client.query("SELECT load_extension('x')").fails(400, "SQL_NOT_ALLOWED");
    assert!(!stolen.exists());
    assert_eq!(client.value("PRAGMA journal_mode"), "wal");
    assert_eq!(client.value("PRAGMA synchronous"), 2, "a commit must reach the disk");
    assert_eq!(client.get("/databases/d/tables").is(200), json!({"tables": ["t"]}));
}

#[test]
fn a_statement_that_never_ends_is_stopped() {
    let server = Server::start(&["--query-timeout", "0.2"]);
    let mut client = server.with_table();
    let endless = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r)";
    client.query(&format!("{endless} SELECT max(n) FROM r")).fails(400, "QUERY_TIMEOUT");
    client
        .query(&format!("INSERT INTO t (n) {endless} SELECT n FROM r"))
        .fails(400, "QUERY_TIMEOUT");
    assert_eq!(client.value("SELECT count(*) FROM t"), 0);
    let server = Server::start(&[]);
    let mut client = server.with_table();
    let wide = "SELECT hex(zeroblob(30000000)) UNION ALL SELECT hex(zeroblob(30000001))";
    client.query(wide).fails(400, "RESULT_TOO_LARGE");
}

#[test]
fn a_statement_stops_when_its_client_leaves() {
    let server = Server::start(&[]);
    let mut client = server.with_table();
    let mut leaver = server.connect();
    let endless = r#"{"query":"INSERT INTO t (n) WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT n FROM r WHERE n < 0"}"#;
    let head = format!(
        "POST /databases/d/query HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{endless}",
        endless.len()
    );
    leaver.write(head.as_bytes()).unwrap();
    crate::support::wait_until("the statement runs", || server.stat("requests_in_flight") == 2);
    drop(leaver);
    // Were the statement still running, this would wait for the write turn in vain.
    client.post("/databases/d/tables/t", r#"{"n":1}"#).is(201);
    assert_eq!(client.value("SELECT count(*) FROM t"), 1);
}
