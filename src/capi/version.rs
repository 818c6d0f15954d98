//! Which library this is.

use std::ffi::c_char;

/// The version of the ABI that this header describes: the number behind `libphantomdb.so`. It is
/// raised with every incompatible change, and apart from the library's version.
pub const PHANTOMDB_ABI_VERSION: u32 = 0;

/// The version of the library, "0.1.0" for example. Valid for ever. Safe from any thread.
#[unsafe(no_mangle)]
pub extern "C" fn phantomdb_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}

/// The version of the ABI that the library has. Programs compiled against one
/// `PHANTOMDB_ABI_VERSION` run with every library of the same. Safe from any thread.
#[unsafe(no_mangle)]
pub extern "C" fn phantomdb_abi_version() -> u32 {
    PHANTOMDB_ABI_VERSION
}
