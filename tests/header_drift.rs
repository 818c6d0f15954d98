//! The committed header is the generated one.
#![cfg(feature = "capi")]

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
