//! What a server says when it refuses a request, made one line of text.

use serde_json::{Map, Value};

use crate::client::response::excerpt::without_tags;
use crate::client::response::mask::Mask;

/// The root cause in the body of an error response: PhantomDB's `code`, `message` and `details`,
/// an older server's `error`, or a proxy's HTML or text. `None` if the body says nothing.
pub(in crate::client) fn reason(body: &[u8], mask: &Mask) -> Option<String> {
    let text = match serde_json::from_slice::<Value>(body) {
        Ok(Value::Object(object)) => of_object(&object, mask).unwrap_or_else(|| mask.excerpt(body)),
        Ok(Value::String(text)) => mask.excerpt(text.as_bytes()),
        _ => of_text(body, mask),
    };
    (!text.is_empty()).then_some(text)
}

fn of_object(object: &Map<String, Value>, mask: &Mask) -> Option<String> {
    let excerpt = |text: &str| mask.excerpt(text.as_bytes());
    let (source, text) =
        ["message", "error", "detail"].into_iter().find_map(|name| match object.get(name)? {
            Value::String(text) if !text.trim().is_empty() => Some((object, excerpt(text))),
            Value::Object(inner) => {
                let text = inner.get("message")?.as_str()?;
                Some((inner, excerpt(text)))
            }
            Value::Null | Value::String(_) | Value::Bool(false) => None,
            other => Some((object, excerpt(&other.to_string()))),
        })?;
    let mut text = text;
    if let Some(code) = source.get("code").and_then(|code| match code {
        Value::String(code) if !code.is_empty() => Some(code.clone()),
        Value::Number(code) => Some(code.to_string()),
        _ => None,
    }) {
        text.push_str(&format!(" (code {})", excerpt(&code)));
    }
    if let Some(details) = source.get("details").filter(|details| says_something(details)) {
        let details = match details {
            Value::String(details) => details.clone(),
            other => other.to_string(),
        };
        text.push_str(&format!("; details: {}", excerpt(&details)));
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

fn of_text(body: &[u8], mask: &Mask) -> String {
    let text = String::from_utf8_lossy(body);
    if text.trim_start().starts_with('<') {
        mask.excerpt(without_tags(&text).as_bytes())
    } else {
        mask.excerpt(body)
    }
}

/// The address of a redirect without what may be secret in it: user name, password, query, token.
pub(in crate::client) fn location(header: &[u8], mask: &Mask) -> String {
    let is_end = |byte: &u8| matches!(byte, b'?' | b'#');
    let text = header.split(is_end).next().unwrap_or_default();
    let (scheme, rest) = match text.windows(2).position(|two| two == b"//") {
        Some(at) => text.split_at(at + 2),
        None => (&b""[..], text),
    };
    let path_at = match scheme {
        [] => 0,
        _ => rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len()),
    };
    let (authority, path) = rest.split_at(path_at);
    // What stands before an `@` is a name and a password, however the address is written.
    let host = authority.rsplit(|byte| *byte == b'@').next().unwrap_or_default();
    match path.contains(&b'@') {
        true => mask.excerpt(&[scheme, "…".as_bytes()].concat()),
        false => mask.excerpt(&[scheme, host, path].concat()),
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
            assert_eq!(
                reason(body.as_bytes(), &Mask::default()).as_deref(),
                Some(expected),
                "{body}"
            );
        }
        assert_eq!(reason(b"", &Mask::default()), None);
        assert_eq!(reason(b" \r\n", &Mask::default()), None);
        let long = reason("x".repeat(100_000).as_bytes(), &Mask::default()).unwrap();
        assert!(long.chars().count() <= 201);
    }

    #[test]
    fn a_redirect_is_shown_without_credentials() {
        let location = |text: &str| location(text.as_bytes(), &Mask::default());
        assert_eq!(location("https://u:p@host:1/a?token=x#f"), "https://host:1/a");
        assert_eq!(location("//u@host"), "//host");
        assert_eq!(location("/login?next=secret"), "/login");
        assert_eq!(location("https:/u:p@host/a"), "…");
        assert_eq!(location("https://u:p/w@host/a"), "https://…");
        let long = format!("https://u:{}@host/a", "p".repeat(500));
        assert_eq!(location(&long), "https://host/a");
    }
}
