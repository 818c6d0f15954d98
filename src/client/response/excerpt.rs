//! Text of the server made fit for an error message.

/// How many characters of the server's text a message quotes.
pub(in crate::client) const LENGTH: usize = 200;

/// The first characters of `bytes` on one line: control characters and invalid UTF-8 replaced,
/// runs of white space joined, cut at [`LENGTH`] characters. For a text that may hold the
/// token there is `Mask::excerpt`.
pub(in crate::client) fn excerpt(bytes: &[u8]) -> String {
    let (window, is_whole) = window(bytes);
    of_window(window, is_whole)
}

/// The beginning of a text that an excerpt is made of, and whether that is all.
pub(in crate::client) fn window(bytes: &[u8]) -> (&[u8], bool) {
    // A character has four bytes at most; the rest can't be part of the excerpt, unless white
    // space is squeezed out of it, which some head room allows for.
    let head = &bytes[..bytes.len().min(LENGTH * 16)];
    (head, head.len() == bytes.len())
}

/// The excerpt of a text that begins so.
pub(in crate::client) fn of_window(head: &[u8], is_whole: bool) -> String {
    let mut text = String::new();
    let mut length = 0;
    let mut space = false;
    for character in String::from_utf8_lossy(head).chars() {
        if character.is_whitespace() {
            space = length > 0;
            continue;
        }
        if length >= LENGTH {
            text.push('…');
            return text;
        }
        if space {
            text.push(' ');
            length += 1;
            space = false;
        }
        text.push(if is_unsafe(character) { char::REPLACEMENT_CHARACTER } else { character });
        length += 1;
    }
    if !is_whole {
        text.push('…');
    }
    text
}

/// A text of the program as one line of a log: what could end the line, or change how the rest of
/// it is shown, is escaped; cut at [`LENGTH`] characters.
pub(crate) fn one_line(text: &str) -> String {
    let mut line = String::new();
    for (index, character) in text.chars().enumerate() {
        if index == LENGTH {
            line.push('…');
            break;
        }
        if is_unsafe(character) || (character.is_whitespace() && character != ' ') {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line
}

/// Characters that could move the cursor, hide text or turn it round in a log or on a terminal.
fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// The readable part of an HTML page: no tags, no scripts, no styles.
pub(in crate::client) fn without_tags(page: &str) -> String {
    let mut text = String::new();
    let mut rest = page;
    while let Some(open) = rest.find('<') {
        text.push_str(&rest[..open]);
        text.push(' ');
        rest = &rest[open..];
        let hidden = ["script", "style"].into_iter().find(|name| {
            rest.get(1..=name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
        });
        let end = match hidden {
            Some(name) => end_of_element(rest, name),
            None => rest.find('>').map(|at| at + 1),
        };
        rest = &rest[end.unwrap_or(rest.len())..];
    }
    text.push_str(rest);
    for (entity, character) in [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&nbsp;", " "),
        ("&amp;", "&"),
    ] {
        text = text.replace(entity, character);
    }
    text
}

fn end_of_element(text: &str, name: &str) -> Option<usize> {
    let close = text.match_indices("</").find(|(at, _)| {
        text.get(at + 2..at + 2 + name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name))
    })?;
    text[close.0..].find('>').map(|at| close.0 + at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_one_short_printable_line() {
        assert_eq!(excerpt(b"  two\r\n\twords \x1b[31m "), "two words \u{fffd}[31m");
        assert_eq!(excerpt(b"\xff\xfe"), "\u{fffd}\u{fffd}");
        let long = excerpt(&[b'x'; 10_000]);
        assert_eq!(long.chars().count(), LENGTH + 1);
        assert!(long.ends_with('…'));
        assert_eq!(excerpt("a\u{202e}b".as_bytes()), "a\u{fffd}b");
        assert_eq!(excerpt(b""), "");
    }

    #[test]
    fn a_line_of_a_log_stays_one_line() {
        assert_eq!(one_line("request 7\n2030 [error] x\r\t"), "request 7\\n2030 [error] x\\r\\t");
        assert_eq!(
            one_line("a\x1b[2J\u{202e}\u{85}\u{2028}b"),
            "a\\u{1b}[2J\\u{202e}\\u{85}\\u{2028}b"
        );
        assert_eq!(one_line("Zürich 東京 🐘"), "Zürich 東京 🐘");
        assert_eq!(one_line(&"x".repeat(LENGTH + 5)).chars().count(), LENGTH + 1);
    }

    #[test]
    fn a_page_loses_its_tags_scripts_and_styles() {
        let page = "<html><head><style>b{}</style><script>var a = '<b>';</script>\
                    <title>502 Bad Gateway</title></head><body>ng&amp;inx";
        assert_eq!(excerpt(without_tags(page).as_bytes()), "502 Bad Gateway ng&inx");
        assert_eq!(excerpt(without_tags("a <unclosed").as_bytes()), "a");
        assert_eq!(excerpt(without_tags("<script>never closed é").as_bytes()), "");
    }
}
