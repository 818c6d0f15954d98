//! Hides the token in texts that others wrote, before anything of them is shown or cut.
//!
//! A server may repeat the token that a request carried: whole, in part (an excerpt of its own), or
//! escaped. So every run of [`RUN`] characters of the token is hidden, in the text as it stands and
//! in what it says once or twice unescaped.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use crate::client::response::excerpt;

/// From so many consecutive characters on, a part of the token is hidden.
const RUN: usize = 8;
/// A shorter token is not secret, and hiding it would tear texts apart.
const SHORTEST: usize = 4;
/// How often a text is unescaped: a JSON text within a JSON text, say.
const DEPTH: usize = 2;
/// How many tokens of the past are remembered beside the one in use.
const PAST: usize = 3;
/// What stands in the place of a token.
const HIDDEN: &[u8] = b"[token]";
/// The words of the routes. A path is taken apart at its slashes, and these are no part of a
/// secret.
const WORDS: &[&str] =
    &["", "health", "databases", "tables", "query", "transactions", "commit", "rollback"];

/// Hides the tokens of one endpoint. Cheap to copy.
#[derive(Clone, Default)]
pub(in crate::client) struct Mask(Option<Arc<[Runs]>>);

/// All runs of one token.
#[derive(Clone)]
struct Runs {
    length: usize,
    runs: Arc<HashSet<u64>>,
}

/// One character of a text, and where it stands there.
#[derive(Clone, Copy)]
struct Unit {
    byte: u8,
    start: usize,
    end: usize,
}

impl Mask {
    /// Hides this token too, and the tokens that were in use shortly before.
    pub(in crate::client) fn and_token(&self, token: &str) -> Mask {
        let newest = Runs::of(token.as_bytes());
        let older = self.all().iter().cloned();
        Mask(Some(newest.into_iter().chain(older).take(1 + PAST).collect()))
    }

    /// Hides what either hides.
    pub(in crate::client) fn and(&self, other: &Mask) -> Mask {
        match (&self.0, &other.0) {
            (Some(one), Some(another)) if !Arc::ptr_eq(one, another) => {
                Mask(Some(one.iter().chain(another.iter()).cloned().collect()))
            }
            (None, _) => other.clone(),
            _ => self.clone(),
        }
    }

    fn all(&self) -> &[Runs] {
        self.0.as_deref().unwrap_or_default()
    }

    /// An excerpt of a text, on one line, for a message. See [`excerpt::excerpt`].
    pub(in crate::client) fn excerpt(&self, text: &[u8]) -> String {
        let (window, is_whole) = excerpt::window(text);
        if self.all().is_empty() {
            return excerpt::of_window(window, is_whole);
        }
        // A run that begins in the window may end behind it.
        let more = text.len().min(window.len() + excerpt::LENGTH * 4);
        match self.hide(&text[..more], window.len()) {
            Some(hidden) => excerpt::of_window(&hidden, is_whole),
            None => excerpt::of_window(window, is_whole),
        }
    }

    /// The path of a request, of which `most` characters are shown.
    pub(in crate::client) fn path(&self, path: &str, most: usize) -> String {
        let mut shown = String::new();
        for (index, segment) in path.split('/').enumerate() {
            if index > 0 {
                shown.push('/');
            }
            let head = &segment.as_bytes()[..segment.len().min(excerpt::LENGTH * 16)];
            match (!WORDS.contains(&segment)).then(|| self.hide(head, head.len())).flatten() {
                Some(hidden) => shown.push_str(&String::from_utf8_lossy(&hidden)),
                None => shown.push_str(&String::from_utf8_lossy(head)),
            }
            if shown.len() > most * 4 {
                break;
            }
        }
        match shown.char_indices().nth(most) {
            Some((end, _)) => format!("{}…", &shown[..end]),
            None => shown,
        }
    }

    /// What stands before `limit`, with [`HIDDEN`] for every token and part of one; `None` if there
    /// is none.
    fn hide(&self, text: &[u8], limit: usize) -> Option<Vec<u8>> {
        let mut secret = vec![false; text.len()];
        let mut found = false;
        let units = (0..text.len()).map(|at| Unit { byte: text[at], start: at, end: at + 1 });
        self.mark(&units.collect::<Vec<_>>(), DEPTH, &mut secret, &mut found);
        if !found {
            return None;
        }
        let mut shown = Vec::with_capacity(limit);
        for at in 0..limit {
            if !secret[at] {
                shown.push(text[at]);
            } else if at == 0 || !secret[at - 1] {
                shown.extend_from_slice(HIDDEN);
            }
        }
        Some(shown)
    }

    /// Marks what is secret in a text, and in what it says when it is unescaped.
    fn mark(&self, units: &[Unit], depth: usize, secret: &mut [bool], found: &mut bool) {
        for Runs { length, runs } in self.all() {
            for part in units.windows(*length) {
                if runs.contains(&packed(part.iter().map(|unit| unit.byte))) {
                    let (first, last) = (part[0], part[*length - 1]);
                    secret[first.start..last.end].fill(true);
                    *found = true;
                }
            }
        }
        if depth > 0 {
            for unescape in [of_json, of_url, of_html] {
                if let Some(units) = unescaped(units, unescape) {
                    self.mark(&units, depth - 1, secret, found);
                }
            }
        }
    }
}

impl fmt::Debug for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mask")
    }
}

impl Runs {
    fn of(token: &[u8]) -> Option<Runs> {
        let length = token.len().min(RUN);
        if length < SHORTEST {
            return None;
        }
        let mut runs = HashSet::with_capacity(token.len());
        runs.extend(token.windows(length).map(|run| packed(run.iter().copied())));
        // A server may have unescaped what it was sent.
        let units: Vec<_> = token.iter().map(|&byte| Unit { byte, start: 0, end: 0 }).collect();
        if let Some(plain) = unescaped(&units, of_url) {
            let run = |part: &[Unit]| packed(part.iter().map(|unit| unit.byte));
            runs.extend(plain.windows(length).map(run));
        }
        if length == RUN {
            for before in 0..3 {
                for text in in_base64(before, token) {
                    runs.extend(text.windows(length).map(|run| packed(run.iter().copied())));
                }
            }
        }
        Some(Runs { length, runs: Arc::new(runs) })
    }
}

/// What of the token is in Base64 whatever stands around it, if that many bytes stand before it; in
/// both alphabets.
fn in_base64(before: usize, token: &[u8]) -> [Vec<u8>; 2] {
    const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut digits = Vec::with_capacity(token.len() / 3 * 4 + 4);
    let (mut bits, mut count) = (0_u32, 0);
    for byte in std::iter::repeat_n(&0, before).chain(token) {
        bits = bits << 8 | u32::from(*byte);
        count += 8;
        while count >= 6 {
            count -= 6;
            digits.push((bits >> count & 63) as usize);
        }
    }
    let text = |others: [u8; 2]| {
        let symbol = |digit: &usize| match digit {
            62 | 63 => others[digit - 62],
            digit => ALPHABET[*digit],
        };
        // The first ones have bits of what stands before.
        digits.iter().skip((before * 8).div_ceil(6)).map(symbol).collect()
    };
    [text(*b"+/"), text(*b"-_")]
}

/// A run as a number, whatever its case.
fn packed(run: impl Iterator<Item = u8>) -> u64 {
    run.fold(0, |number, byte| number << 8 | u64::from(byte.to_ascii_lowercase()))
}

/// What an escape at the beginning says, and how many characters it has.
type Unescape = fn(&[Unit]) -> Option<(u8, usize)>;

/// The text with these escapes undone; `None` if it has none.
fn unescaped(units: &[Unit], unescape: Unescape) -> Option<Vec<Unit>> {
    let mut plain = Vec::new();
    let mut at = 0;
    let mut is_changed = false;
    while at < units.len() {
        match unescape(&units[at..]) {
            Some((byte, length)) => {
                let (start, end) = (units[at].start, units[at + length - 1].end);
                plain.push(Unit { byte, start, end });
                at += length;
                is_changed = true;
            }
            None => {
                plain.push(units[at]);
                at += 1;
            }
        }
    }
    is_changed.then_some(plain)
}

/// `\u0041`, `\x41`, `\"`.
fn of_json(units: &[Unit]) -> Option<(u8, usize)> {
    let [Unit { byte: b'\\', .. }, escaped, ..] = units else { return None };
    match escaped.byte {
        b'u' => Some((number(units.get(2..6)?, 16)?, 6)),
        b'x' => Some((number(units.get(2..4)?, 16)?, 4)),
        byte if byte.is_ascii_graphic() && !byte.is_ascii_alphanumeric() => Some((byte, 2)),
        _ => None,
    }
}

/// `%41`.
fn of_url(units: &[Unit]) -> Option<(u8, usize)> {
    let [Unit { byte: b'%', .. }, ..] = units else { return None };
    Some((number(units.get(1..3)?, 16)?, 3))
}

/// `&#65;`, `&#x41;`, `&amp;`.
fn of_html(units: &[Unit]) -> Option<(u8, usize)> {
    let [Unit { byte: b'&', .. }, ..] = units else { return None };
    let end = units.iter().take(10).position(|unit| unit.byte == b';')?;
    let name: Vec<u8> = units[1..end].iter().map(|unit| unit.byte).collect();
    let byte = match &*name {
        [b'#', b'x' | b'X', ..] => number(&units[3..end], 16)?,
        [b'#', ..] => number(&units[2..end], 10)?,
        b"amp" => b'&',
        b"lt" => b'<',
        b"gt" => b'>',
        b"quot" => b'"',
        b"apos" => b'\'',
        _ => return None,
    };
    Some((byte, end + 1))
}

/// The ASCII character of this number; a token has no others.
fn number(digits: &[Unit], base: u32) -> Option<u8> {
    let mut number = 0_u32;
    for digit in digits {
        let digit = char::from(digit.byte).to_digit(base)?;
        number = number.checked_mul(base)?.checked_add(digit)?;
    }
    u8::try_from(number).ok().filter(u8::is_ascii)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "eyJhbGci.eyJzdWIiOiI0MiJ9/+a\"b\\c.SflKxwRJSM";

    fn shown(text: &str) -> String {
        Mask::default().and_token(TOKEN).excerpt(text.as_bytes())
    }

    #[test]
    fn a_token_is_hidden_whole_in_part_and_in_every_escaped_form() {
        let escaped = |each: fn(char) -> String| TOKEN.chars().map(each).collect::<String>();
        let json = TOKEN.replace('\\', "\\\\").replace('"', "\\\"");
        for text in [
            TOKEN.to_owned(),
            TOKEN.to_uppercase(),
            json.clone(),
            json.replace('\\', "\\\\").replace('"', "\\\""),
            json.replace('/', "\\/"),
            escaped(|character| format!("\\u{:04x}", u32::from(character))),
            escaped(|character| format!("\\\\u{:04X}", u32::from(character))),
            escaped(|character| format!("\\x{:02x}", u32::from(character))),
            escaped(|character| format!("%{:02X}", u32::from(character))),
            escaped(|character| format!("%25{:02x}", u32::from(character))),
            escaped(|character| format!("&#{};", u32::from(character))),
            escaped(|character| format!("&#x{:X};", u32::from(character))),
            TOKEN.replace('"', "&quot;").replace('+', "%2B"),
        ] {
            assert_eq!(shown(&format!("no: {text}!")), "no: [token]!", "{text}");
        }
        for part in TOKEN.as_bytes().windows(RUN) {
            let part = String::from_utf8_lossy(part);
            assert_eq!(shown(&format!("<{part}>")), "<[token]>");
        }
        assert_eq!(shown("eyJhbGc is not a part of note"), "eyJhbGc is not a part of note");
    }

    #[test]
    fn a_token_across_the_cut_is_hidden_first() {
        for before in 0..300 {
            let text = format!("{}{TOKEN} and more", "x ".repeat(before));
            let shown = shown(&text);
            for part in TOKEN.as_bytes().windows(RUN) {
                assert!(!shown.contains(&*String::from_utf8_lossy(part)), "{shown}");
            }
        }
        let spaces = " ".repeat(excerpt::LENGTH * 16 - 10);
        assert_eq!(shown(&format!("{spaces}{TOKEN}")), "[token]…");
    }

    #[test]
    fn tokens_of_the_past_are_hidden_for_a_while_and_short_ones_never() {
        let mask = Mask::default().and_token("first-token").and_token("second-token");
        assert_eq!(mask.excerpt(b"first-token second-token"), "[token] [token]");
        let other = Mask::default().and_token("third-token");
        assert_eq!(mask.and(&other).excerpt(b"first-token third-token"), "[token] [token]");
        let short = Mask::default().and_token("abc").and_token("hush");
        assert_eq!(short.excerpt(b"abc, hush and hus"), "abc, [token] and hus");
        assert_eq!(Mask::default().excerpt(b"first-token"), "first-token");
        assert_eq!(format!("{mask:?}"), "Mask");
    }

    #[test]
    fn a_token_that_servers_unescape_is_hidden_too() {
        let mask = Mask::default().and_token("abc%2Bdef%2Fghi%3D");
        assert_eq!(mask.excerpt(b"no: abc+def/ghi=!"), "no: [token]!");
        assert_eq!(mask.excerpt(b"no: abc%2Bdef%2Fghi%3D!"), "no: [token]!");
    }

    #[test]
    fn a_token_in_base64_is_hidden_wherever_it_stands_there() {
        let mask = Mask::default().and_token("s3cret?>token~of~mine");
        for (text, shown) in [
            // The token itself; after `u:`, where the last symbol has a part of one byte only;
            // after `me:` and before `!`.
            ("czNjcmV0Pz50b2tlbn5vZn5taW5l", "[token]"),
            ("dTpzM2NyZXQ_PnRva2Vufm9mfm1pbmU=", "dTp[token]U="),
            ("bWU6czNjcmV0Pz50b2tlbn5vZn5taW5lIQ==", "bWU6[token]IQ=="),
        ] {
            assert_eq!(mask.excerpt(text.as_bytes()), shown, "{text}");
        }
    }

    #[test]
    fn a_path_keeps_the_words_of_the_routes() {
        let mask = Mask::default().and_token("secret-databases-of-mine");
        assert_eq!(
            mask.path("/databases/secret-databases-of-mine/query", 120),
            "/databases/[token]/query"
        );
        assert_eq!(
            mask.path("/databases/secret%2Ddatabases/tables", 120),
            "/databases/[token]/tables"
        );
        let long = mask.path(&format!("/databases/{}", "é".repeat(500)), 120);
        assert_eq!(long.chars().count(), 121);
    }

    #[test]
    fn hiding_takes_linear_time_whatever_the_text() {
        let mask = Mask::default().and_token(TOKEN);
        for text in ["\\\\u005cu0041", "%2525", "&amp;#65;", "\\u0026%26&amp;"] {
            let text = text.repeat(1_000_000 / text.len());
            let start = std::time::Instant::now();
            mask.excerpt(text.as_bytes());
            // Work that grows with the square of the length would take hours.
            assert!(start.elapsed() < std::time::Duration::from_secs(20), "{text:.20}");
        }
    }
}
