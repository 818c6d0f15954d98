use crate::support::Server;
use serde_json::json;

#[test]
fn databases_are_made_listed_and_dropped() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    assert_eq!(client.get("/databases").is(200), json!({"databases": []}));
    let made = client.post("/databases", r#"{"name":"shop"}"#).is(201);
    assert_eq!(made["name"], "shop");
    assert!(made["message"].is_string());
    client.post("/databases", r#"{"name":"shop"}"#).fails(409, "ALREADY_EXISTS");
    client.post("/databases", r#"{"name":"Shop"}"#).is(201);
    assert_eq!(client.get("/databases").is(200)["databases"], json!(["Shop", "shop"]));
    assert!(client.delete("/databases/shop").is(200)["message"].is_string());
    client.delete("/databases/shop").fails(404, "DATABASE_NOT_FOUND");
    assert_eq!(client.get("/databases").is(200)["databases"], json!(["Shop"]));
}

#[test]
fn tables_are_made_listed_and_dropped() {
    let server = Server::start(&[]);
    let mut client = server.with_table();
    assert_eq!(client.get("/databases/d/tables").is(200), json!({"tables": ["t"]}));
    client
        .post("/databases/d/tables", r#"{"name":"T","columns":[{"name":"a","type":"text"}]}"#)
        .fails(409, "ALREADY_EXISTS");
    assert!(client.delete("/databases/d/tables/t").is(200)["message"].is_string());
    client.delete("/databases/d/tables/t").fails(404, "TABLE_NOT_FOUND");
    client.get("/databases/none/tables").fails(404, "DATABASE_NOT_FOUND");
    assert_eq!(client.get("/databases/d/tables").is(200), json!({"tables": []}));
}

#[test]
fn a_table_that_makes_no_sense_is_refused() {
    let server = Server::start(&[]);
    let mut client = server.with_table();
    for body in [
        r#"{"columns":[{"name":"a","type":"text"}]}"#,
        r#"{"name":7,"columns":[{"name":"a","type":"text"}]}"#,
        r#"{"name":"x"}"#,
        r#"{"name":"x","columns":[]}"#,
        r#"{"name":"x","columns":{"a":"text"}}"#,
        r#"{"name":"x","columns":["a"]}"#,
        r#"{"name":"x","columns":[{"name":"a"}]}"#,
        r#"{"name":"x","columns":[{"name":"","type":"text"}]}"#,
        r#"{"name":"x","columns":[{"name":"a","type":""}]}"#,
        r#"{"name":"x","columns":[{"name":"a","type":"text); DROP TABLE t; --"}]}"#,
        r#"{"name":"x","columns":[{"name":"a","type":"varchar(x)"}]}"#,
        r#"{"name":"x","columns":[{"name":"a","type":"text","nullabel":true}]}"#,
        r#"{"name":"x","columns":[{"name":"a","type":"text","nullable":1}]}"#,
        r#"{"name":"x","columns":[{"name":"a","type":"text"},{"name":"A","type":"text"}]}"#,
        r#"{"name":"","columns":[{"name":"a","type":"text"}]}"#,
        r#"{"name":"sqlite_x","columns":[{"name":"a","type":"text"}]}"#,
        r#"{"name":"__PhantomDB_x","columns":[{"name":"a","type":"text"}]}"#,
    ] {
        let response = client.post("/databases/d/tables", body);
        assert_eq!(response.status, 400, "{body}: {}", response.body);
        response.is(400);
    }
    let long =
        format!(r#"{{"name":"{}","columns":[{{"name":"a","type":"text"}}]}}"#, "x".repeat(256));
    client.post("/databases/d/tables", &long).fails(400, "BAD_REQUEST");
    assert_eq!(client.get("/databases/d/tables").is(200), json!({"tables": ["t"]}));
}

#[test]
fn rows_are_inserted_selected_updated_and_deleted() {
    let server = Server::start(&[]);
    let mut client = server.with_table();
    let rows = "/databases/d/tables/t";
    assert_eq!(client.post(rows, r#"{"s":"one","n":1}"#).is(201)["id"], 1);
    assert_eq!(client.post(rows, r#"{"n":2,"s":"two"}"#).is(201)["id"], 2);
    assert_eq!(client.post(rows, "{}").is(201)["id"], 3);
    assert_eq!(
        client.get(rows).is(200),
        json!({"records": [
            {"id": 1, "s": "one", "n": 1},
            {"id": 2, "s": "two", "n": 2},
            {"id": 3, "s": null, "n": null},
        ]})
    );
    let found =
        client.get(&format!("{rows}?condition=n%20%3E%201%20-- the%20rest").replace(' ', "+"));
    assert_eq!(found.is(200)["records"], json!([{"id": 2, "s": "two", "n": 2}]));
    assert_eq!(
        client.get(&format!("{rows}?condition=")).is(200)["records"].as_array().unwrap().len(),
        3
    );

    let changed = client.put(rows, r#"{"data":{"s":"TWO","n":null},"condition":"id = 2"}"#).is(200);
    assert_eq!(changed["count"], 1);
    assert_eq!(client.put(rows, r#"{"data":{"n":7}}"#).is(200)["count"], 3);
    client.put(rows, r#"{"data":{"n":7},"condition":" "}"#).fails(400, "BAD_REQUEST");
    client.put(rows, r#"{"data":{}}"#).fails(400, "BAD_REQUEST");
    client.put(rows, r#"{"condition":"1=1"}"#).fails(400, "BAD_REQUEST");
    client.put(rows, r#"{"data":{"n":7},"where":"id=1"}"#).fails(400, "BAD_REQUEST");
    client.put(rows, r#"{"data":{"n":7},"condition":"id = ?"}"#).fails(400, "SQL_ERROR");

    assert_eq!(client.delete(&format!("{rows}?condition=id%3D2")).is(200)["count"], 1);
    assert_eq!(client.delete(&format!("{rows}?condition=1%3D1")).is(200)["count"], 2);
    assert_eq!(client.get(rows).is(200), json!({"records": []}));
    assert_eq!(server.stat("inserts_acknowledged"), 3);
}

#[test]
fn a_delete_that_lost_its_condition_drops_nothing() {
    let server = Server::start(&[]);
    let mut client = server.with_table();
    client.post("/databases/d/tables/t", r#"{"n":1}"#).is(201);
    for query in [
        "condition=",
        "condition=%20%09",
        "where=n%3D2",
        "condition=n=1&b=2",
        "condition=1&condition=2",
    ] {
        client.delete(&format!("/databases/d/tables/t?{query}")).fails(400, "BAD_REQUEST");
    }
    client.delete("/databases/d?condition=1").fails(400, "BAD_REQUEST");
    client.delete("/databases/d/").fails(404, "ROUTE_NOT_FOUND");
    client.delete("/databases/d/tables/..").fails(404, "TABLE_NOT_FOUND");
    client.delete("/databases/d/tables/t?condition=1%3D1)%20OR%20(").fails(400, "SQL_ERROR");
    client
        .delete("/databases/d/tables/t?condition=1);%20DROP%20TABLE%20t;%20--")
        .fails(400, "SQL_ERROR");
    assert_eq!(client.value("SELECT count(*) FROM t"), 1);
}

#[test]
fn what_is_missing_is_404_and_what_is_wrong_is_400() {
    let server = Server::start(&[]);
    let mut client = server.with_table();
    client.post("/databases/d/tables/t", r#"{"id":1}"#).is(201);
    client.post("/databases/d/tables/t", r#"{"id":1}"#).fails(409, "ALREADY_EXISTS");
    client.post("/databases/d/tables/t", r#"{"nope":1}"#).fails(400, "SQL_ERROR");
    client.post("/databases/d/tables/t", r#"{"n":18446744073709551615}"#).fails(400, "BAD_REQUEST");
    client.get("/databases/d/tables/t?condition=nope%3D").fails(400, "SQL_ERROR");
    for (method, body) in [
        ("GET", None),
        ("POST", Some(r#"{"n":1}"#)),
        ("PUT", Some(r#"{"data":{"n":1}}"#)),
        ("DELETE", None),
    ] {
        client.send(method, "/databases/d/tables/none", body).fails(404, "TABLE_NOT_FOUND");
        client.send(method, "/databases/none/tables/t", body).fails(404, "DATABASE_NOT_FOUND");
        client
            .send(method, "/databases/d/tables/__phantomdb_created", body)
            .fails(404, "TABLE_NOT_FOUND");
    }
    client.delete("/databases/d/tables/none?condition=1%3D1").fails(404, "TABLE_NOT_FOUND");
}

#[test]
fn constraints_of_columns_hold() {
    let server = Server::start(&[]);
    let mut client = server.with_table();
    client
        .post(
            "/databases/d/tables",
            r#"{"name":"c","columns":[
                {"name":"a","type":"int","primaryKey":true},
                {"name":"b","type":"varchar(10)","nullable":false,"defaultValue":"it's"},
                {"name":"e","type":"decimal(10, 2)","unique":true}]}"#,
        )
        .is(201);
    client.post("/databases/d/tables/c", r#"{"e":1}"#).is(201);
    client.post("/databases/d/tables/c", r#"{"e":1}"#).fails(409, "ALREADY_EXISTS");
    client.post("/databases/d/tables/c", r#"{"b":null}"#).fails(400, "CONSTRAINT_VIOLATION");
    assert_eq!(
        client.get("/databases/d/tables/c").is(200)["records"],
        json!([{"a": 1, "b": "it's", "e": 1}])
    );
    client
        .post(
            "/databases/d/tables",
            r#"{"name":"two","columns":[{"name":"a","type":"int","primaryKey":true},
                {"name":"b","type":"int","primaryKey":true}]}"#,
        )
        .is(201);
    client.post("/databases/d/tables/two", r#"{"a":1,"b":1}"#).is(201);
    client.post("/databases/d/tables/two", r#"{"a":1,"b":2}"#).is(201);
    client.post("/databases/d/tables/two", r#"{"a":1,"b":2}"#).fails(409, "ALREADY_EXISTS");
}
