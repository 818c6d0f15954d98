use crate::support::Server;
use serde_json::json;

fn is_time(value: &serde_json::Value) -> bool {
    value.as_str().is_some_and(|time| time.len() == 24 && time.ends_with('Z'))
}

#[test]
fn databases_and_tables_are_objects() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    let made = client.post("/api/v1/databases", r#"{"name":"d"}"#).is(201);
    assert_eq!((&made["name"], &made["tables"]), (&json!("d"), &json!([])));
    client.post("/api/v1/databases", r#"{"name":"d"}"#).fails(409, "ALREADY_EXISTS");
    let table = r#"{"name":"t","columns":[
        {"name":"id","type":"integer","primaryKey":true},
        {"name":"b","type":"boolean","nullable":false,"defaultValue":true},
        {"name":"f","type":"float","unique":true,"defaultValue":-0.5}]}"#;
    let made = client.post("/api/v1/databases/d/tables", table).is(201);
    assert!(is_time(&made["createdAt"]), "{made}");
    assert_eq!(
        made["columns"],
        json!([
            {"name":"id","type":"INTEGER","nullable":false,"primaryKey":true,"defaultValue":null},
            {"name":"b","type":"boolean","nullable":false,"primaryKey":false,"defaultValue":true},
            {"name":"f","type":"float","nullable":true,"primaryKey":false,"defaultValue":-0.5},
        ])
    );
    assert_eq!(made["indexes"][0]["columns"], json!(["f"]));
    assert_eq!(made["indexes"][0]["unique"], true);
    client.post("/api/v1/databases/d/tables", table).fails(409, "ALREADY_EXISTS");

    client.post("/api/v1/databases/d/tables/t/rows", r#"{"rows":[{"f":1},{"b":false}]}"#).is(201);
    let described = client.get("/api/v1/databases/d/tables/t").is(200);
    assert_eq!((&described["name"], &described["rowCount"]), (&json!("t"), &json!(2)));
    assert_eq!(described["createdAt"], made["createdAt"]);

    let database = client.get("/api/v1/databases/d").is(200);
    assert!(is_time(&database["createdAt"]) && database["size"].as_u64() > Some(0), "{database}");
    assert_eq!(database["tables"], json!([described]));
    let listed = client.get("/api/v1/databases").is(200);
    assert_eq!(listed["databases"][0]["name"], "d");
    assert_eq!(client.get("/api/v1/databases/d/tables").is(200)["tables"], json!([described]));

    for path in ["/api/v1/databases/x", "/api/v1/databases/x/tables/t"] {
        client.get(path).fails(404, "DATABASE_NOT_FOUND");
        client.delete(path).fails(404, "DATABASE_NOT_FOUND");
    }
    client.get("/api/v1/databases/d/tables/x").fails(404, "TABLE_NOT_FOUND");
    let gone = client.delete("/api/v1/databases/d/tables/t");
    assert_eq!((gone.status, gone.body.as_str()), (204, ""));
    let gone = client.delete("/api/v1/databases/d");
    assert_eq!((gone.status, gone.body.as_str()), (204, ""));
    assert_eq!(client.get("/api/v1/databases").is(200), json!({"databases": []}));
}

/// To compute it could take as long as any statement.
#[test]
fn a_default_that_must_be_computed_is_shown_as_it_is_spelled() {
    let server = Server::start(&["--query-timeout", "1"]);
    let mut client = server.connect();
    client.post("/databases", r#"{"name":"d"}"#).is(201);
    let endless = "1 + instr(zeroblob(60000000), CAST(zeroblob(30000000) || x'01' AS BLOB))";
    client
        .query(&format!("CREATE TABLE t (a DEFAULT ({endless}), b DEFAULT -5, c DEFAULT 'it''s')"))
        .is(200);
    let columns = &client.get("/api/v1/databases").is(200)["databases"][0]["tables"][0]["columns"];
    let defaults: Vec<_> = (0..3).map(|at| columns[at]["defaultValue"].clone()).collect();
    assert_eq!(defaults, [json!(endless), json!(-5), json!("it's")]);
}

#[test]
fn rows_are_paged() {
    let server = Server::start(&[]);
    let mut client = server.with_table();
    let rows = "/api/v1/databases/d/tables/t/rows";
    let body = json!({"rows": (1..=25).map(|n| json!({"n": n})).collect::<Vec<_>>()});
    assert_eq!(client.post(rows, &body.to_string()).is(201), json!({"inserted": 25}));
    assert_eq!(client.post(rows, r#"{"rows":[]}"#).is(201), json!({"inserted": 0}));
    let page =
        client.get(&format!("{rows}?where=n%3C%3D20&orderBy=n%20DESC&limit=2&offset=1")).is(200);
    assert_eq!(page["count"], 20);
    assert_eq!(
        page["rows"],
        json!([{"id": 19, "s": null, "n": 19}, {"id": 18, "s": null, "n": 18}])
    );
    assert_eq!(client.get(rows).is(200)["rows"].as_array().unwrap().len(), 25);
    for wrong in
        ["limit=0", "limit=10001", "limit=x", "offset=-1", "where=nope%3D1", "orderBy=(", "page=2"]
    {
        client.get(&format!("{rows}?{wrong}")).is(400);
    }
    for wrong in [r#"{"rows":{}}"#, r#"{"rows":[1]}"#, "{}", "[]", r#"{"rows":[{"n":1},{"x":1}]}"#]
    {
        client.post(rows, wrong).is(400);
    }
    assert_eq!(client.value("SELECT count(*) FROM t"), 25, "a row of a list that failed");
    client.get("/api/v1/databases/d/tables/x/rows").fails(404, "TABLE_NOT_FOUND");
    client
        .post("/api/v1/databases/d/tables/x/rows", r#"{"rows":[]}"#)
        .fails(404, "TABLE_NOT_FOUND");
}

#[test]
fn a_condition_here_means_rows_too() {
    let server = Server::start(&[]);
    let mut client = server.with_table();
    client.post("/databases/d/tables/t", r#"{"n":1}"#).is(201);
    let response = client.delete("/api/v1/databases/d/tables/t?condition=n%3D1").is(200);
    assert_eq!(response["count"], 1);
    client.delete("/api/v1/databases/d/tables/t?condition=").fails(400, "BAD_REQUEST");
    client.get("/api/v1/databases/d/tables/t").is(200);
}

#[test]
fn the_server_tells_about_itself() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    for prefix in ["", "/api/v1"] {
        assert_eq!(client.get(&format!("{prefix}/health")).is(200)["status"], "healthy");
        assert!(client.get(&format!("{prefix}/")).is(200)["message"].is_string());
        let stats = client.get(&format!("{prefix}/stats")).is(200);
        assert_eq!(
            (&stats["connections_open"], &stats["requests_in_flight"]),
            (&json!(1), &json!(1))
        );
        let metrics = client.get(&format!("{prefix}/metrics"));
        assert_eq!(
            metrics.header("content-type"),
            Some("text/plain; version=0.0.4; charset=utf-8")
        );
        assert!(
            metrics.body.contains("\nphantomdb_devserver_connections_open 1\n"),
            "{}",
            metrics.body
        );
        assert!(metrics.body.contains("\nphantomdb_devserver_connections_accepted_total 1\n"));
    }
    client.get("/api/v1").is(200);
    let sql = r#"{"query":"SELECT 1"}"#;
    client.post("/databases", r#"{"name":"d"}"#).is(201);
    assert_eq!(client.post("/api/v1/databases/d/query", sql).is(200)["rows"], json!([[1]]));
}
