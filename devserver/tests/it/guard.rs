use crate::support::{Client, Server};

const ROUTES: &[(&str, &str)] = &[
    ("GET", "/"),
    ("GET", "/health"),
    ("GET", "/api/v1/health"),
    ("GET", "/stats"),
    ("GET", "/metrics"),
    ("GET", "/databases"),
    ("POST", "/databases"),
    ("DELETE", "/databases/d"),
    ("GET", "/databases/d/tables"),
    ("POST", "/databases/d/tables"),
    ("GET", "/databases/d/tables/t"),
    ("POST", "/databases/d/tables/t"),
    ("PUT", "/databases/d/tables/t"),
    ("DELETE", "/databases/d/tables/t"),
    ("POST", "/databases/d/query"),
    ("POST", "/transactions"),
    ("POST", "/transactions/x/commit"),
    ("POST", "/transactions/x/rollback"),
    ("GET", "/api/v1/databases/d/tables/t/rows"),
    ("POST", "/api/v1/databases/d/query"),
    ("GET", "/none"),
    ("OPTIONS", "/databases"),
    ("PATCH", "/databases"),
];

fn send(client: &mut Client, method: &str, target: &str, headers: &str) -> (u16, String) {
    client.write(format!("{method} {target} HTTP/1.1\r\n{headers}\r\n").as_bytes()).unwrap();
    let response = client.read().unwrap();
    let code = response.is(response.status)["code"].as_str().unwrap_or_default().to_owned();
    (response.status, code)
}

#[test]
fn no_route_serves_a_page_of_another_site() {
    for options in [&[][..], &["--token", "s3cret"]] {
        let server = Server::start(options);
        let mut client = server.with_table_and("Authorization: Bearer s3cret");
        let port = server.address.port();
        let token = "Authorization: Bearer s3cret\r\n";
        for (method, path) in ROUTES {
            for (headers, status, code) in [
                ("Host: evil.example", 403, "HOST_NOT_ALLOWED"),
                ("Host: localhost\r\nOrigin: http://evil.example", 403, "CROSS_SITE_REQUEST"),
                ("Host: localhost\r\nOrigin: null", 403, "CROSS_SITE_REQUEST"),
                (
                    "Host: localhost\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors",
                    403,
                    "CROSS_SITE_REQUEST",
                ),
                (
                    "Host: localhost\r\nOrigin: http://evil.example\r\nContent-Type: application/x-www-form-urlencoded",
                    403,
                    "CROSS_SITE_REQUEST",
                ),
                (
                    "Host: localhost\r\nOrigin: http://evil.example\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Key: x",
                    403,
                    "CROSS_SITE_REQUEST",
                ),
                ("Host: localhost\r\nHost: localhost", 400, "BAD_REQUEST"),
                ("X-Forwarded-Host: localhost", 400, "BAD_REQUEST"),
            ] {
                for token in ["", token] {
                    let got = send(&mut client, method, path, &format!("{headers}\r\n{token}"));
                    assert_eq!(got, (status, code.to_owned()), "{method} {path} {headers}");
                }
            }
            let absolute = format!("http://evil.example{path}");
            let headers = format!("Host: localhost\r\n{token}");
            let got = send(&mut client, method, &absolute, &headers);
            assert_eq!(got, (400, "BAD_REQUEST".into()), "{method} {absolute}");
        }
        // Nothing of all that was done, and a program is served as before.
        let own = format!("Host: 127.0.0.1:{port}\r\nOrigin: http://127.0.0.1:{port}\r\n{token}");
        assert_eq!(send(&mut client, "GET", "/databases/d/tables/t", &own).0, 200);
        let own = format!("Host: localhost.:{port}\r\nSec-Fetch-Site: none\r\n{token}");
        let absolute = format!("http://LOCALHOST:{port}/databases");
        assert_eq!(send(&mut client, "GET", &absolute, &own).0, 200);
        assert_eq!(client.get("/stats").is(200)["transactions_open"], 0);
    }
}

#[test]
fn names_are_those_that_the_user_gives() {
    let server = Server::start(&["--allow-host", "db.internal", "--allow-host", "Other"]);
    let mut client = server.connect();
    for (host, status) in
        [("db.internal:80", 200), ("OTHER", 200), ("[::1]:9", 200), ("internal", 403)]
    {
        let got = send(&mut client, "GET", "/databases", &format!("Host: {host}\r\n"));
        assert_eq!(got.0, status, "{host}");
    }
}

#[test]
fn a_form_begins_no_transaction() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    for kind in ["application/x-www-form-urlencoded", "multipart/form-data", "text/plain", ""] {
        let headers = format!("Host: localhost\r\nContent-Type: {kind}\r\nContent-Length: 0\r\n");
        let got = send(&mut client, "POST", "/transactions", &headers);
        assert_eq!(got, (400, "BAD_REQUEST".into()), "{kind}");
    }
    assert_eq!(server.stat("transactions_open"), 0);
}

#[test]
fn the_token_is_looked_at_before_the_body_is_read() {
    let server = Server::start(&["--token", "s3cret"]);
    for (method, path) in ROUTES.iter().filter(|(_, path)| !path.ends_with("/health")) {
        let mut client = server.connect();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9000000\r\n\r\n{{"
        );
        client.write(head.as_bytes()).unwrap();
        // The rest of the body has not been sent yet.
        client.read().unwrap().fails(401, "UNAUTHORIZED");
        client.write(&vec![b' '; 8_999_999]).unwrap();
        client.headers = vec!["Authorization: Bearer s3cret".into()];
        client.get("/databases").is(200);
    }
    // Health is told to strangers as well, and nothing of what they send is kept or waited for.
    for method in ["GET", "HEAD"] {
        let mut client = server.connect();
        client
            .write(format!("{method} /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000\r\n\r\n{{").as_bytes())
            .unwrap();
        assert!(client.read_head().unwrap().starts_with("http/1.1 200 "));
    }
    let mut asks = server.connect();
    asks.write(b"POST /databases HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n")
        .unwrap();
    asks.read().unwrap().fails(401, "UNAUTHORIZED");
    assert!(asks.is_closed());
}
