//! Which library this is.

use std::ffi::c_char;

/// The version of the ABI that this header describes, and the number in `libphantomdb.so.0`. It
/// is raised with every incompatible change, independently of the library's version.
///
/// A program works with any newer or older library of the same ABI version. Structs that a
/// program fills begin with `struct_size`, which their `_init` function sets, so that they can
/// grow. The numbers of codes, operations and kinds never change.
pub const PHANTOMDB_ABI_VERSION: u32 = 0;

/// The version of the library, such as "0.1.0". The text is never freed. Safe from any thread.
#[unsafe(no_mangle)]
pub extern "C" fn phantomdb_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}

/// The ABI version of the library that the program runs with. A program compiled with one
/// `PHANTOMDB_ABI_VERSION` runs with every library of the same version. Safe from any thread.
#[unsafe(no_mangle)]
pub extern "C" fn phantomdb_abi_version() -> u32 {
    PHANTOMDB_ABI_VERSION
}
