//! Which library this is, and the table of its codes.

use std::ffi::{CString, c_char};
use std::ptr;
use std::sync::OnceLock;

use super::error::{phantomdb_code, phantomdb_code_info};
use crate::error::Code;

/// The version of the ABI that this header describes: the number behind `libphantomdb.so`. It is raised
/// with every incompatible change, and apart from the library's version.
pub const PHANTOMDB_ABI_VERSION: u32 = 0;

/// The version of the library, "0.1.0" for example. Valid for ever. Safe from any thread.
#[unsafe(no_mangle)]
pub extern "C" fn phantomdb_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}

/// The version of the ABI that the library has. Programs compiled against one `PHANTOMDB_ABI_VERSION`
/// run with every library of the same. Safe from any thread.
#[unsafe(no_mangle)]
pub extern "C" fn phantomdb_abi_version() -> u32 {
    PHANTOMDB_ABI_VERSION
}

/// Every code with its name and text, `PHANTOMDB_OK` first, in the order of the numbers.
///
/// Returns the first of `*count` entries; they are valid for ever. `count` may be NULL. For
/// bindings, which take their constants from here or check them. Safe from any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_code_table(count: *mut u64) -> *const phantomdb_code_info {
    let table = code_table();
    // SAFETY: the caller promises that it is NULL or valid.
    if let Some(count) = unsafe { count.as_mut() } {
        *count = table.len() as u64;
    }
    table.as_ptr()
}

/// The name of a code, "TIMEOUT" for example, or NULL if there is no such code. Valid for ever.
/// Safe from any thread.
#[unsafe(no_mangle)]
pub extern "C" fn phantomdb_code_name(code: i32) -> *const c_char {
    code_table().iter().find(|info| info.code == code).map_or(ptr::null(), |info| info.name)
}

fn code_table() -> &'static [phantomdb_code_info] {
    static TABLE: OnceLock<Vec<phantomdb_code_info>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let ok = (phantomdb_code::PHANTOMDB_OK as i32, "OK", "The call succeeded");
        let failures = Code::ALL.iter().map(|code| (*code as i32, code.name(), code.text()));
        std::iter::once(ok)
            .chain(failures)
            .map(|(code, name, text)| phantomdb_code_info {
                code,
                name: for_ever(name),
                text: for_ever(text),
            })
            .collect()
    })
}

fn for_ever(text: &str) -> *const c_char {
    CString::new(text).expect("the texts of codes have no NUL").into_raw()
}
