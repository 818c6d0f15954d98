//! The committed header is the generated one, and what it is made with does what it says.
#![cfg(feature = "header")]

#[path = "../build/text.rs"]
mod text;

use text::{LINE_LENGTH, with_short_comments, with_tags};

const GENERATED: &str = include_str!(concat!(env!("OUT_DIR"), "/phantomdb.h"));
const COMMITTED: &str = include_str!("../include/phantomdb.h");

#[test]
fn include_phantomdb_h_is_up_to_date() {
    let difference = GENERATED
        .lines()
        .zip(COMMITTED.lines())
        .position(|(generated, committed)| generated != committed);
    assert!(
        GENERATED == COMMITTED,
        "include/phantomdb.h differs from what the code generates (first at line {}); \
         run `make header` and commit it",
        difference.unwrap_or_else(|| GENERATED.lines().count().min(COMMITTED.lines().count())) + 1
    );
}

#[test]
fn no_line_of_the_header_is_too_long() {
    let long: Vec<_> =
        COMMITTED.lines().filter(|line| line.chars().count() > LINE_LENGTH).collect();
    assert!(long.is_empty(), "longer than {LINE_LENGTH} columns:\n{}", long.join("\n"));
}

#[test]
fn structs_and_enums_get_their_names_as_tags() {
    let untagged = "typedef struct a a;\n\n\
        typedef struct {\n    int32_t x;\n} b;\n\n\
        typedef enum {\n    C = 1,\n} c;\n\nvoid f(b *b);";
    let tagged = "typedef struct a a;\n\n\
        typedef struct b {\n    int32_t x;\n} b;\n\n\
        typedef enum c {\n    C = 1,\n} c;\n\nvoid f(b *b);";
    assert_eq!(with_tags(untagged), tagged);
}

#[test]
fn comments_of_one_line_take_one_line() {
    let long = "x".repeat(LINE_LENGTH - 6);
    let comments = format!(
        "/**\n * One.\n */\nint a;\n    /**\n     * Two.\n     */\n    int b;\n\
         /**\n * One.\n * Two.\n */\nint c;\n/**\n * {long}\n */\nint d;"
    );
    let shortened = format!(
        "/** One. */\nint a;\n    /** Two. */\n    int b;\n\
         /**\n * One.\n * Two.\n */\nint c;\n/**\n * {long}\n */\nint d;"
    );
    assert_eq!(with_short_comments(&comments), shortened);
}
