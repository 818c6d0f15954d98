use crate::support::{Server, encoded};
use serde_json::json;

const NAMES: &[&str] = &[
    "a/b",
    "a?b",
    "a#b",
    "a%b",
    "a b",
    "..",
    ".",
    "../../etc/passwd",
    "%2e%2e",
    "grün",
    "表",
    "😀",
    "a'b",
    "a\"b",
    "a;b",
    "a\\b",
    "A",
    "a",
    "-",
    "a+b",
    "a&b=c",
    "con",
    " ",
    "x.db",
    "\t",
];

#[test]
fn any_name_is_only_a_name() {
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("data");
    let server = Server::start(&["--data", folder.to_str().unwrap()]);
    let mut client = server.connect();
    for name in NAMES {
        client.post("/databases", &json!({"name": name}).to_string()).is(201);
        let table = json!({"name": name, "columns": [{"name": name, "type": "text"}]});
        let database = format!("/databases/{}", encoded(name));
        client.post(&format!("{database}/tables"), &table.to_string()).is(201);
        let rows = format!("{database}/tables/{}", encoded(name));
        client.post(&rows, &json!({*name: name}).to_string()).is(201);
        assert_eq!(client.get(&rows).is(200)["records"], json!([{*name: name}]));
        let condition =
            encoded(&format!("\"{}\" = '{}'", name.replace('"', "\"\""), name.replace('\'', "''")));
        let change = json!({"data": {*name: "x"}});
        assert_eq!(
            client.get(&format!("{rows}?condition={condition}")).is(200)["records"],
            json!([{*name: name}])
        );
        assert_eq!(client.put(&rows, &change.to_string()).is(200)["count"], 1);
        assert_eq!(client.get(&format!("{database}/tables")).is(200)["tables"], json!([name]));
        assert_eq!(client.get(&format!("/api/v1{rows}")).is(200)["rowCount"], 1);
    }
    let mut sorted = NAMES.to_vec();
    sorted.sort_unstable();
    assert_eq!(client.get("/databases").is(200)["databases"], json!(sorted));
    let outside: Vec<_> =
        std::fs::read_dir(outer.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(outside, ["data"]);

    drop(client);
    drop(server);
    let server = Server::start(&["--data", folder.to_str().unwrap()]);
    let mut client = server.connect();
    assert_eq!(client.get("/databases").is(200)["databases"], json!(sorted));
    for name in NAMES {
        let database = format!("/databases/{}", encoded(name));
        assert_eq!(client.get(&format!("{database}/tables")).is(200)["tables"], json!([name]));
        client.delete(&format!("{database}/tables/{}", encoded(name))).is(200);
        client.delete(&database).is(200);
    }
    let left: Vec<_> =
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, [".lock"]);
}

#[test]
fn names_that_cannot_be_are_refused() {
    let server = Server::start(&[]);
    let mut client = server.with_table();
    client.post("/databases", r#"{"name":""}"#).fails(400, "BAD_REQUEST");
    let long = json!({"name": "x".repeat(241)}).to_string();
    client.post("/databases", &long).fails(400, "BAD_REQUEST");
    client.post("/databases", &json!({"name": "x".repeat(240)}).to_string()).is(201);
    client.post("/databases", r#"{"name":"NUL \u0000"}"#).is(201);
    client.get("/databases/%FF/tables").fails(400, "BAD_REQUEST");
    client.get("/databases/d/tables/%C3%28").fails(400, "BAD_REQUEST");
    client.get("/databases/d/tables/t?condition=%FF").fails(400, "BAD_REQUEST");
    client.get("/databases/d/tables/%00").fails(404, "TABLE_NOT_FOUND");
    client.get("/databases//tables").fails(404, "DATABASE_NOT_FOUND");
    client.get(&format!("/databases/{}/tables", "x".repeat(5000))).fails(404, "DATABASE_NOT_FOUND");
}
