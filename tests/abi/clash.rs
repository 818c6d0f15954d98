//! Another library in Rust, for a program that has both: its standard library must not clash with
//! the one in libphantomdb.a, and a panic must find its own way.

/// 1 after a caught panic.
#[unsafe(no_mangle)]
pub extern "C" fn other_library() -> i32 {
    std::panic::set_hook(Box::new(|_| {}));
    let empty: Vec<i32> = Vec::new();
    std::panic::catch_unwind(|| empty[std::process::id() as usize]).unwrap_or(1)
}
