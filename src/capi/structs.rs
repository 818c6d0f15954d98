//! Structs that begin with `struct_size`, so that programs and libraries of different ages
//! understand each other.

use std::ptr;

use crate::error::{Error, Result};

/// A struct of the ABI whose first member is `struct_size: u32`.
///
/// # Safety
/// The implementor is `repr(C)`, begins with a `u32`, and any bytes are a valid value of it.
pub unsafe trait Sized32: Copy {
    /// The size of its first version, up to what was its last member then. No smaller one was
    /// ever published.
    const FIRST_SIZE: usize;
    /// How its argument is called.
    const NAME: &'static str;
    /// The function that fills it.
    const INIT: &'static str;
}

/// Fills a caller's struct of `struct_size` bytes: with as much of `value` as it has room for,
/// and zeros behind what this library knows.
///
/// # Safety
/// `target` is NULL or may be written to for `struct_size` bytes.
pub unsafe fn fill<S: Sized32>(target: *mut S, struct_size: u32, value: S) -> Result<()> {
    let size = struct_size as usize;
    if target.is_null() {
        return Err(Error::invalid_argument(S::NAME, "is NULL"));
    }
    check_size::<S>(size)?;
    let known = size.min(size_of::<S>());
    // SAFETY: `target` has `size` bytes, of which `known` are no more than `value` has.
    unsafe {
        ptr::copy_nonoverlapping((&raw const value).cast::<u8>(), target.cast::<u8>(), known);
        ptr::write_bytes(target.cast::<u8>().add(known), 0, size - known);
        target.cast::<u32>().write_unaligned(struct_size);
    }
    Ok(())
}

/// Reads a caller's struct; what it is too short to say is taken from `default`.
///
/// # Safety
/// `source` is NULL or may be read for as many bytes as its first member says.
pub unsafe fn read<S: Sized32>(source: *const S, default: S) -> Result<S> {
    if source.is_null() {
        return Err(Error::invalid_argument(S::NAME, "is NULL"));
    }
    // SAFETY: not NULL, and its first member is a u32.
    let size = unsafe { source.cast::<u32>().read_unaligned() } as usize;
    check_size::<S>(size)?;
    let known = size.min(size_of::<S>());
    let mut value = default;
    // SAFETY: the source has `size` bytes, `value` has room for `known`, and any bytes are
    // a valid value.
    let tail = unsafe {
        ptr::copy_nonoverlapping(source.cast::<u8>(), (&raw mut value).cast::<u8>(), known);
        std::slice::from_raw_parts(source.cast::<u8>().add(known), size - known)
    };
    if tail.iter().any(|byte| *byte != 0) {
        return Err(Error::invalid_argument(
            S::NAME,
            "sets a member that this version of libphantomdb does not know; \
             use a newer version, or leave it unset",
        ));
    }
    Ok(value)
}

/// The size that the caller's struct says it has.
///
/// # Safety
/// `source` is not NULL and begins with a `u32`.
pub unsafe fn said_size<S: Sized32>(source: *const S) -> u32 {
    // SAFETY: `source` is not NULL and begins with a `u32`: this function asks the same of its
    // caller.
    unsafe { source.cast::<u32>().read_unaligned() }
}

fn check_size<S: Sized32>(size: usize) -> Result<()> {
    // Far more than any version will need; a larger number is garbage.
    const MOST: usize = 64 * 1024;
    if size < S::FIRST_SIZE || size > MOST {
        return Err(Error::invalid_argument(
            S::NAME,
            format_args!("struct_size is {size}, which no version has; call {} first", S::INIT),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[repr(C)]
    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Known {
        struct_size: u32,
        first: u32,
        added: u32,
    }

    // SAFETY: `repr(C)`, begins with a u32, integers only.
    unsafe impl Sized32 for Known {
        const FIRST_SIZE: usize = 8;
        const NAME: &'static str = "known";
        const INIT: &'static str = "known_init";
    }

    const DEFAULT: Known = Known { struct_size: 12, first: 1, added: 2 };

    fn read_words(words: &[u32]) -> Result<Known> {
        // SAFETY: the words are as long as the first of them says, or it is refused.
        unsafe { read(words.as_ptr().cast::<Known>(), DEFAULT) }
    }

    #[test]
    fn an_older_caller_gets_the_defaults_of_what_it_does_not_know() {
        assert_eq!(read_words(&[8, 7]).unwrap(), Known { struct_size: 8, first: 7, added: 2 });
    }

    #[test]
    fn a_newer_caller_may_leave_unset_what_we_do_not_know() {
        assert_eq!(read_words(&[16, 7, 8, 0]).unwrap().added, 8);
        let refused = read_words(&[16, 7, 8, 9]).unwrap_err();
        assert!(refused.message().contains("newer"), "{refused}");
    }

    #[test]
    fn a_struct_that_was_not_initialised_is_refused() {
        for size in [0, 4, 7, 70_000, u32::MAX] {
            let refused = read_words(&[size, 7, 8]).unwrap_err();
            assert!(refused.message().contains("known_init"), "{refused}");
        }
    }

    #[test]
    fn filling_respects_the_callers_size() {
        let mut short = [9u32; 3];
        // SAFETY: 8 bytes are there.
        unsafe { fill(short.as_mut_ptr().cast(), 8, DEFAULT) }.unwrap();
        assert_eq!(short, [8, 1, 9]);
        let mut long = [9u32; 4];
        // SAFETY: 16 bytes are there.
        unsafe { fill(long.as_mut_ptr().cast(), 16, DEFAULT) }.unwrap();
        assert_eq!(long, [16, 1, 2, 0]);
    }
}
