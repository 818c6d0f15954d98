//! What a server says when it refuses a request, made one line of text.

use serde_json::{Map, Value};

use super::excerpt::{excerpt, without_tags};

/// The root cause in the body of an error answer: PhantomDB's `code`, `message` and `details`,
/// an older server's `error`, or a proxy's HTML or text. `None` if the body says nothing.
pub(super) fn reason(body: &[u8]) -> Option<String> {
    let text = match serde_json::from_slice::<Value>(body) {
        Ok(Value::Object(object)) => of_object(&object).unwrap_or_else(|| excerpt(body)),
        Ok(Value::String(text)) => excerpt(text.as_bytes()),
        _ => of_text(body),
    };
    (!text.is_empty()).then_some(text)
}

fn of_object(object: &Map<String, Value>) -> Option<String> {
    let (source, text) =
        ["message", "error", "detail"].into_iter().find_map(|name| match object.get(name)? {
            Value::String(text) if !text.trim().is_empty() => {
                Some((object, excerpt(text.as_bytes())))
            }
            Value::Object(inner) => {
                let text = inner.get("message")?.as_str()?;
                Some((inner, excerpt(text.as_bytes())))
            }
            Value::Null | Value::String(_) | Value::Bool(false) => None,
            other => Some((object, excerpt(other.to_string().as_bytes()))),
        })?;
    let mut text = text;
    if let Some(code) = source.get("code").and_then(|code| match code {
        Value::String(code) if !code.is_empty() => Some(code.clone()),
        Value::Number(code) => Some(code.to_string()),
        _ => None,
    }) {
        text.push_str(&format!(" (code {})", excerpt(code.as_bytes())));
    }
    if let Some(details) = source.get("details").filter(|details| says_something(details)) {
        let details = match details {
            Value::String(details) => details.clone(),
            other => other.to_string(),
        };
        text.push_str(&format!("; details: {}", excerpt(details.as_bytes())));
    }
    Some(text)
}

fn says_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(array) => !array.is_empty(),
        Value::Object(object) => !object.is_empty(),
        _ => true,
    }
}

fn of_text(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    if text.trim_start().starts_with('<') {
        excerpt(without_tags(&text).as_bytes())
    } else {
        excerpt(body)
    }
}

/// The address of a redirect without what may be secret in it: user name, password, query.
pub(super) fn location(header: &[u8]) -> String {
    let text = excerpt(header);
    let text = text.split(['?', '#']).next().unwrap_or_default();
    match text.split_once("//") {
        Some((scheme, rest)) => {
            let (authority, path) = match rest.find('/') {
                Some(at) => rest.split_at(at),
                None => (rest, ""),
            };
            let host = authority.rsplit('@').next().unwrap_or_default();
            format!("{scheme}//{host}{path}")
        }
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_error_body_gives_its_root_cause() {
        for (body, expected) in [
            (
                r#"{"code":"E1","message":"no such table","details":{"table":"t"}}"#,
                r#"no such table (code E1); details: {"table":"t"}"#,
            ),
            (r#"{"code":"E1","message":"no","details":{}}"#, "no (code E1)"),
            (r#"{"error":"text"}"#, "text"),
            (r#"{"error":{"message":"inner","code":7}}"#, "inner (code 7)"),
            (r#"{"error":["a"]}"#, r#"["a"]"#),
            (r#"{"detail":"Not Found"}"#, "Not Found"),
            (r#"{"other":1}"#, r#"{"other":1}"#),
            ("\"just text\"", "just text"),
            ("plain\r\ntext", "plain text"),
            ("<html><title>502 Bad Gateway</title><hr>nginx</html>", "502 Bad Gateway nginx"),
            ("{\"message\": \"cut", "{\"message\": \"cut"),
        ] {
            assert_eq!(reason(body.as_bytes()).as_deref(), Some(expected), "{body}");
        }
        assert_eq!(reason(b""), None);
        assert_eq!(reason(b" \r\n"), None);
        let long = reason("x".repeat(100_000).as_bytes()).unwrap();
        assert!(long.chars().count() <= 201);
    }

    #[test]
    fn a_redirect_is_shown_without_credentials() {
        assert_eq!(location(b"https://u:p@host:1/a?token=x#f"), "https://host:1/a");
        assert_eq!(location(b"//u@host"), "//host");
        assert_eq!(location(b"/login?next=secret"), "/login");
    }
}
