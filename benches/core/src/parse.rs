//! The JSON parser of the contenders that have none of their own.

use serde::Deserialize;

#[derive(Deserialize)]
struct Databases {
    databases: Vec<String>,
}

/// How many names a response has, if it is one.
pub fn names(json: &[u8]) -> Option<usize> {
    let response: Databases = serde_json::from_slice(json).ok()?;
    Some(response.databases.len())
}

/// See c/contender.h.
///
/// # Safety
/// `json` points to `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bench_parse(json: *const u8, length: usize) -> i64 {
    // SAFETY: the caller's promise.
    let json = unsafe { std::slice::from_raw_parts(json, length) };
    names(json).map_or(-1, |count| count as i64)
}
