//! The JSON parser of the contenders that have none of their own.

use serde::Deserialize;

#[derive(Deserialize)]
struct Databases {
    databases: Vec<String>,
}

/// See c/contender.h.
///
/// # Safety
/// `json` points to `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bench_parse(json: *const u8, length: usize) -> i64 {
    // SAFETY: the caller's promise.
    let json = unsafe { std::slice::from_raw_parts(json, length) };
    match serde_json::from_slice::<Databases>(json) {
        Ok(response) => response.databases.len() as i64,
        Err(_) => -1,
    }
}
