//! A look at SQL text before SQLite gets it: what SQLite would round is refused, ILIKE is made
//! LIKE, and one text holds one statement.

use crate::error::{Error, Kind, Result};
use std::borrow::Cow;

/// How much of a number an error shows.
const SHOWN: usize = 40;

const LEAST_INTEGER: &str = "9223372036854775808";
const GREATEST_INTEGER: &str = "9223372036854775807";

/// Words after which an operand comes, so that a word like ILIKE there is a name, and a minus a
/// sign.
const BEFORE_OPERAND: &[&str] = &[
    "add",
    "all",
    "alter",
    "and",
    "as",
    "between",
    "by",
    "case",
    "check",
    "collate",
    "column",
    "constraint",
    "create",
    "cross",
    "default",
    "delete",
    "distinct",
    "drop",
    "else",
    "escape",
    "except",
    "exists",
    "from",
    "glob",
    "group",
    "having",
    "in",
    "index",
    "inner",
    "insert",
    "intersect",
    "into",
    "is",
    "isnull",
    "join",
    "left",
    "like",
    "limit",
    "natural",
    "not",
    "notnull",
    "offset",
    "on",
    "or",
    "order",
    "outer",
    "references",
    "regexp",
    "rename",
    "returning",
    "select",
    "set",
    "table",
    "then",
    "to",
    "trigger",
    "union",
    "unique",
    "update",
    "using",
    "values",
    "when",
    "where",
    "with",
];

/// Those of them that SQLite also takes for names of columns, so that they end an operand where only
/// an operator can follow.
const NAMES_TOO: &[&str] = &[
    "column", "cross", "inner", "left", "natural", "offset", "outer", "rename", "trigger", "with",
];

/// Words that cannot begin an operand, so that a word like ILIKE before them is a name.
const NOT_OPERANDS: &[&str] = &[
    "and",
    "as",
    "asc",
    "between",
    "collate",
    "cross",
    "desc",
    "else",
    "end",
    "escape",
    "except",
    "from",
    "full",
    "glob",
    "group",
    "having",
    "in",
    "indexed",
    "inner",
    "intersect",
    "into",
    "is",
    "isnull",
    "join",
    "left",
    "like",
    "limit",
    "match",
    "natural",
    "notnull",
    "nulls",
    "offset",
    "on",
    "or",
    "order",
    "outer",
    "over",
    "regexp",
    "returning",
    "right",
    "set",
    "then",
    "union",
    "using",
    "values",
    "when",
    "where",
    "window",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    /// A name or a keyword.
    Word,
    /// A string, a blob, a quoted name or a parameter.
    Operand,
    /// A number, of whatever kind.
    Number,
    /// One character of anything else.
    Sign(u8),
}

#[derive(Clone, Copy, Debug)]
struct Token {
    sort: Sort,
    start: usize,
    end: usize,
}

/// The tokens of a text, without white space and comments.
struct Tokens<'t> {
    text: &'t [u8],
    at: usize,
}

impl Tokens<'_> {
    /// The end of what is quoted from `self.at` on; a doubled quote stands for itself.
    fn quoted(&self, quote: u8, doubled: bool) -> usize {
        let mut at = self.at + 1;
        while at < self.text.len() {
            if self.text[at] == quote {
                if !doubled || self.text.get(at + 1) != Some(&quote) {
                    return at + 1;
                }
                at += 1;
            }
            at += 1;
        }
        self.text.len()
    }

    fn run(&self, from: usize, belongs: impl Fn(u8) -> bool) -> usize {
        self.text[from..]
            .iter()
            .position(|byte| !belongs(*byte))
            .map_or(self.text.len(), |length| from + length)
    }

    fn skip_space(&mut self) {
        loop {
            let rest = &self.text[self.at..];
            if rest.starts_with(b"--") {
                self.at = self.run(self.at, |byte| byte != b'\n');
            } else if rest.starts_with(b"/*") {
                let end = rest[2..].windows(2).position(|pair| pair == b"*/");
                self.at = end.map_or(self.text.len(), |length| self.at + 2 + length + 2);
            } else if rest.first().is_some_and(|byte| byte.is_ascii_whitespace() || *byte == 0x0b) {
                self.at += 1;
            } else {
                return;
            }
        }
    }

    fn number(&self) -> usize {
        let digits = |byte: u8| byte.is_ascii_digit() || byte == b'_';
        let rest = &self.text[self.at..];
        if rest.len() > 2 && rest[0] == b'0' && rest[1] | 32 == b'x' {
            return self.run(self.at + 2, is_name);
        }
        let mut end = self.run(self.at, digits);
        if self.text.get(end) == Some(&b'.') {
            end = self.run(end + 1, digits);
        }
        if self.text.get(end).is_some_and(|byte| byte | 32 == b'e') {
            let sign = usize::from(matches!(self.text.get(end + 1), Some(b'+' | b'-')));
            if self.text.get(end + 1 + sign).is_some_and(u8::is_ascii_digit) {
                end = self.run(end + 1 + sign, digits);
            }
        }
        end
    }
}

impl Iterator for Tokens<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        self.skip_space();
        let start = self.at;
        let first = *self.text.get(start)?;
        let next = self.text.get(start + 1).copied();
        let (sort, end) = match first {
            b'\'' | b'"' | b'`' => (Sort::Operand, self.quoted(first, true)),
            b'[' => (Sort::Operand, self.quoted(b']', false)),
            b'x' | b'X' if next == Some(b'\'') => {
                self.at += 1;
                (Sort::Operand, self.quoted(b'\'', false))
            }
            b'?' | b':' | b'@' | b'$' | b'#' => (Sort::Operand, self.run(start + 1, is_name)),
            b'0'..=b'9' => (Sort::Number, self.number()),
            b'.' if next.is_some_and(|byte| byte.is_ascii_digit()) => (Sort::Number, self.number()),
            _ if is_name(first) => (Sort::Word, self.run(start, is_name)),
            _ => (Sort::Sign(first), start + 1),
        };
        self.at = end;
        Some(Token { sort, start, end })
    }
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

/// Part of a statement, such as a condition, as SQLite gets it.
pub fn part(sql: &str) -> Result<Cow<'_, str>> {
    scan(sql).map(|(text, _)| text)
}

/// A whole statement as SQLite gets it.
pub fn statement(sql: &str) -> Result<Cow<'_, str>> {
    let (text, shape) = scan(sql)?;
    let Some(semicolon) = shape.first_semicolon else {
        return match shape.empty {
            true => Err(Error::new(Kind::BadSql, "the query is empty")),
            false => Ok(text),
        };
    };
    // The body of a trigger is full of semicolons: SQLite finds its end.
    if shape.makes_trigger {
        return Ok(match text {
            Cow::Borrowed(text) => Cow::Borrowed(&text[..shape.end]),
            Cow::Owned(text) => Cow::Owned(text[..shape.end].to_owned()),
        });
    }
    if shape.several {
        return Err(Error::new(
            Kind::BadSql,
            "one request runs one statement, and this text holds several",
        ));
    }
    if shape.empty {
        return Err(Error::new(Kind::BadSql, "the query is empty"));
    }
    Ok(match text {
        Cow::Borrowed(text) => Cow::Borrowed(&text[..semicolon]),
        Cow::Owned(text) => Cow::Owned(text[..semicolon].to_owned()),
    })
}

/// What a text looks like from afar.
#[derive(Debug)]
struct Shape {
    empty: bool,
    first_semicolon: Option<usize>,
    several: bool,
    makes_trigger: bool,
    /// After the last token that is not a semicolon.
    end: usize,
}

fn scan(sql: &str) -> Result<(Cow<'_, str>, Shape)> {
    // SQLite would take a NUL for the end of the text and ignore the rest in silence.
    if sql.contains('\0') {
        return Err(Error::new(Kind::BadSql, "SQL text contains a NUL character"));
    }
    let mut shape =
        Shape { empty: true, first_semicolon: None, several: false, makes_trigger: false, end: 0 };
    let mut found = Vec::new();
    let mut words = 0;
    let mut creates = false;
    let (mut earlier, mut before) = (None, None);
    let mut tokens = Tokens { text: sql.as_bytes(), at: 0 }.peekable();
    while let Some(token) = tokens.next() {
        let text = &sql[token.start..token.end];
        match token.sort {
            Sort::Sign(b';') => {
                shape.first_semicolon.get_or_insert(token.start);
            }
            _ => {
                shape.several |= shape.first_semicolon.is_some();
                shape.empty &= shape.first_semicolon.is_some();
                shape.end = token.end;
            }
        }
        match token.sort {
            Sort::Number => check_number(sql, text, earlier, before)?,
            Sort::Word => {
                words += 1;
                creates |= words == 1 && text.eq_ignore_ascii_case("create");
                shape.makes_trigger |=
                    creates && words <= 3 && text.eq_ignore_ascii_case("trigger");
                let next = tokens.peek().copied();
                if text.eq_ignore_ascii_case("ilike") && is_operator(sql, earlier, before, next) {
                    found.push(token.start);
                }
            }
            _ => {}
        }
        (earlier, before) = (before, Some(token));
    }
    if found.is_empty() {
        return Ok((Cow::Borrowed(sql), shape));
    }
    let mut text = String::with_capacity(sql.len());
    let mut from = 0;
    for at in found {
        text.push_str(&sql[from..at]);
        // As long as the word itself, so that what SQLite says of a place stays true.
        text.push_str("LIKE ");
        from = at + "ilike".len();
    }
    text.push_str(&sql[from..]);
    Ok((Cow::Owned(text), shape))
}

/// Whether a text is one number, string or blob, perhaps with signs, or null: what needs no
/// computing.
pub fn is_literal(sql: &str) -> bool {
    let is_sign = |token: &Token| matches!(token.sort, Sort::Sign(b'-' | b'+'));
    let mut tokens = Tokens { text: sql.as_bytes(), at: 0 }.skip_while(is_sign);
    let is_constant = tokens.next().is_some_and(|token| match token.sort {
        Sort::Number => true,
        Sort::Operand => sql[token.start..token.end].ends_with('\''),
        Sort::Word => sql[token.start..token.end].eq_ignore_ascii_case("null"),
        Sort::Sign(_) => false,
    });
    is_constant && tokens.next().is_none()
}

/// Whether an operand ends with this token.
fn ends_operand(sql: &str, token: Option<Token>) -> bool {
    token.is_some_and(|token| match token.sort {
        Sort::Operand | Sort::Number | Sort::Sign(b')') => true,
        Sort::Word => !among(BEFORE_OPERAND, &sql[token.start..token.end]),
        Sort::Sign(_) => false,
    })
}

fn is_word(sql: &str, token: Option<Token>, words: &[&str]) -> bool {
    token
        .is_some_and(|token| token.sort == Sort::Word && among(words, &sql[token.start..token.end]))
}

/// Whether ILIKE between these tokens is the operator; else it is somebody's name.
fn is_operator(
    sql: &str,
    earlier: Option<Token>,
    before: Option<Token>,
    next: Option<Token>,
) -> bool {
    // What is made here has the name, with its columns in brackets.
    let is_made = is_word(sql, before, &["view"])
        && is_word(sql, earlier, &["create", "temp", "temporary"])
        || is_word(sql, before, &["recursive"]) && is_word(sql, earlier, &["with"]);
    if is_made {
        return false;
    }
    let left = if is_word(sql, before, &["not"]) { earlier } else { before };
    let before_value = next.is_some_and(|token| {
        token.sort == Sort::Operand && b"'?:@$".contains(&sql.as_bytes()[token.start])
    });
    let after_operand = ends_operand(sql, left) || before_value && is_word(sql, left, NAMES_TOO);
    let before_operand = next.is_some_and(|token| match token.sort {
        Sort::Operand | Sort::Number | Sort::Sign(b'(' | b'-' | b'+' | b'~') => true,
        Sort::Word => !among(NOT_OPERANDS, &sql[token.start..token.end]),
        Sort::Sign(_) => false,
    });
    after_operand && before_operand
}

/// SQLite makes a floating-point number of an integer that does not fit.
fn check_number(
    sql: &str,
    text: &str,
    earlier: Option<Token>,
    before: Option<Token>,
) -> Result<()> {
    if !text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_') {
        return Ok(());
    }
    let digits: Cow<'_, str> =
        if text.contains('_') { Cow::Owned(text.replace('_', "")) } else { Cow::Borrowed(text) };
    let digits = digits.trim_start_matches('0');
    let most = GREATEST_INTEGER.len();
    if digits.len() < most || digits.len() == most && digits <= GREATEST_INTEGER {
        return Ok(());
    }
    let is_negative =
        before.is_some_and(|token| token.sort == Sort::Sign(b'-')) && !ends_operand(sql, earlier);
    if digits == LEAST_INTEGER && is_negative {
        return Ok(());
    }
    let shown = if text.len() > SHOWN { format!("{}…", &text[..SHOWN]) } else { text.into() };
    Err(Error::bad_request(format!(
        "the number {shown} in the SQL does not fit into a signed 64-bit integer: SQLite would round it"
    )))
}

fn among(words: &[&str], word: &str) -> bool {
    words.iter().any(|known| known.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operator_ilike_becomes_like_and_a_name_stays() {
        for (given, expected) in [
            ("a ILIKE 'x'", "a LIKE  'x'"),
            ("a not ilike 'x' escape '\\'", "a not LIKE  'x' escape '\\'"),
            ("(a)ILIKE(b)", "(a)LIKE (b)"),
            ("a/**/ILIKE/**/'x'", "a/**/LIKE /**/'x'"),
            ("\"a\" iLiKe ?1 OR b ILIKE :p", "\"a\" LIKE  ?1 OR b LIKE  :p"),
            ("ilike ILIKE ilike", "ilike LIKE  ilike"),
            ("t.ilike ILIKE t.ilike", "t.ilike LIKE  t.ilike"),
            (
                "CASE WHEN a ILIKE 'b' THEN 1 END ILIKE 'x'",
                "CASE WHEN a LIKE  'b' THEN 1 END LIKE  'x'",
            ),
            ("NULL ILIKE NULL", "NULL LIKE  NULL"),
            ("a ILIKE CASE WHEN 1 THEN 'x' END", "a LIKE  CASE WHEN 1 THEN 'x' END"),
            ("a ILIKE lower(b)", "a LIKE  lower(b)"),
            ("1 ILIKE -1", "1 LIKE  -1"),
            ("replace ILIKE 'x' AND desc ILIKE 'x'", "replace LIKE  'x' AND desc LIKE  'x'"),
            ("view ILIKE ('x') AND key ILIKE ('x')", "view LIKE  ('x') AND key LIKE  ('x')"),
            ("left ILIKE 'x' OR offset NOT ILIKE ?", "left LIKE  'x' OR offset NOT LIKE  ?"),
            ("WHERE trigger ILIKE :p", "WHERE trigger LIKE  :p"),
        ] {
            assert_eq!(part(given).unwrap(), expected);
        }
        for same in [
            "a = 'b ILIKE c'",
            "\"x ILIKE 'y'\" = 1",
            "`a ILIKE 1` = [b ILIKE 'c']",
            "a -- ILIKE 'x'",
            "a /* b ILIKE 'x' */",
            "a = 'it''s ILIKE ''x'''",
            "SELECT ilike FROM t",
            "SELECT a ilike FROM t",
            "SELECT a ilike, b FROM t",
            "SELECT a AS ilike FROM t ORDER BY ilike DESC",
            "SELECT * FROM t ilike WHERE ilike = 1",
            "SELECT * FROM t ilike JOIN u ON ilike.a = u.a",
            "CREATE TABLE ilike (a int, ilike text)",
            "INSERT INTO ilike (ilike) VALUES ('a')",
            "UPDATE ilike SET ilike = 1 WHERE ilike IN (1)",
            "ALTER TABLE t ADD COLUMN ilike text",
            "CREATE VIEW ilike(a) AS SELECT 1",
            "CREATE VIEW IF NOT EXISTS ilike (a) AS SELECT 1",
            "WITH RECURSIVE ilike(n) AS (SELECT 1) SELECT n FROM ilike",
            "CREATE TABLE u (a int REFERENCES ilike(ilike))",
            "CREATE TABLE u (a int CONSTRAINT ilike CHECK (a > 0))",
            "CREATE TABLE u (a int, CONSTRAINT ilike FOREIGN KEY (a) REFERENCES ilike (ilike))",
            "INSERT INTO main.ilike (a) VALUES (1)",
            "SELECT ilike(1)",
            "x'00' = ilikely",
            "'unfinished ILIKE 'x",
            "/* unfinished a ILIKE 'x'",
            "[unfinished ILIKE 'x'",
        ] {
            assert_eq!(part(same).unwrap(), same);
        }
    }

    #[test]
    fn a_literal_is_told_from_what_must_be_computed() {
        for literal in ["1", "-1", "+ 1.5e3", "'it''s'", "x'00'", "NULL", "null", "0xff", "'-- '"] {
            assert!(is_literal(literal), "{literal}");
        }
        for computed in [
            "",
            "-",
            "1 + 1",
            "1 || instr(a, b)",
            "'a' || 'b'",
            "'unfinished",
            "CURRENT_TIME",
            "\"a\"",
            "f(1)",
            "(1)",
        ] {
            assert!(!is_literal(computed), "{computed}");
        }
    }

    #[test]
    fn an_integer_that_sqlite_would_round_is_refused() {
        for fine in [
            "n = 9223372036854775807",
            "n = -9223372036854775808",
            "SELECT - 9223372036854775808",
            "n IN (-9223372036854775808)",
            "n = 000000000000000000000000001",
            "n = 9_223_372_036_854_775_807",
            "n = 1.8e19 AND m = 18446744073709551616.0 AND o = .18446744073709551616",
            "n = 0xffffffffffffffff",
            "s = '18446744073709551616' -- 18446744073709551616",
            "\"18446744073709551616\" = a18446744073709551616",
        ] {
            assert_eq!(part(fine).unwrap(), fine);
        }
        for wrong in [
            "n = 9223372036854775808",
            "n = 18446744073709551616",
            "n = 18_446_744_073_709_551_616",
            "5 - 9223372036854775808",
            "n -9223372036854775808",
            "(1)-9223372036854775808",
            "n = -9223372036854775809",
            &"9".repeat(5000),
        ] {
            let error = part(wrong).unwrap_err();
            assert!(error.kind == Kind::BadRequest && error.message.len() < 200, "{wrong}");
        }
    }

    #[test]
    fn a_text_holds_one_statement() {
        let trigger = "CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; SELECT 2; END";
        for (given, expected) in [
            ("SELECT 1", "SELECT 1"),
            ("SELECT 1;", "SELECT 1"),
            ("SELECT ';' ; -- x", "SELECT ';' "),
            ("SELECT 1;;;", "SELECT 1"),
            (&format!("{trigger};;"), trigger),
        ] {
            assert_eq!(statement(given).unwrap(), expected);
        }
        for (wrong, said) in [
            ("", "empty"),
            (";", "empty"),
            ("-- nothing", "empty"),
            ("/* nothing", "empty"),
            ("SELECT 1; SELECT 2", "several"),
            ("; SELECT 2", "several"),
            ("SELECT 1; --\n'", "several"),
            ("SELECT '\0'", "NUL"),
        ] {
            assert!(statement(wrong).unwrap_err().message.contains(said), "{wrong:?}");
        }
    }
}
