//! An option as the core has it, and as its member of `phantomdb_pool_options` has it.

use std::ffi::{CStr, CString, c_char};
use std::path::PathBuf;
use std::ptr;
use std::time::Duration;

use super::call::{optional_text, text};
use crate::config::Secret;
use crate::error::{Error, Result};

/// What the value of an option is, and the type of its member of `phantomdb_pool_options`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum phantomdb_option_type {
    /// A number of things: `uint32_t`.
    PHANTOMDB_OPTION_COUNT = 1,
    /// A number of bytes: `uint64_t`.
    PHANTOMDB_OPTION_SIZE = 2,
    /// A time in milliseconds: `int64_t`.
    PHANTOMDB_OPTION_TIME = 3,
    /// 0 or 1: `int32_t`.
    PHANTOMDB_OPTION_FLAG = 4,
    /// One of several values that have a name: `int32_t`.
    PHANTOMDB_OPTION_CHOICE = 5,
    /// A text that may be NULL: `const char *`.
    PHANTOMDB_OPTION_TEXT = 6,
    /// The path of a file, or NULL: `const char *`.
    PHANTOMDB_OPTION_FILE = 7,
    /// A function that is called with log messages, or NULL. The `void *` that it is handed is the
    /// member that follows.
    PHANTOMDB_OPTION_LOG = 8,
}

use phantomdb_option_type::*;

/// The type of an option in the core.
pub(super) trait Member: Sized {
    /// The type of the member.
    type C: Copy + Into<MemberValue>;
    /// What the table calls it.
    const TYPE: phantomdb_option_type;
    /// The name of each value of a choice, in the order of the numbers.
    const CHOICES: &'static [&'static CStr] = &[];
    /// Whether no message may show the value.
    const IS_SECRET: bool = false;

    /// The value of the member; a text is never freed, so this is for the defaults alone.
    fn to_c(&self) -> Self::C;

    /// The option from the value of the member.
    ///
    /// # Safety
    /// A text is NULL or ends with a NUL.
    unsafe fn from_c(name: &str, given: Self::C) -> Result<Self>;
}

/// A member's value, for the table.
pub(super) enum MemberValue {
    Number(i64),
    Text(*const c_char),
}

impl From<u32> for MemberValue {
    fn from(value: u32) -> Self {
        MemberValue::Number(value.into())
    }
}

impl From<i32> for MemberValue {
    fn from(value: i32) -> Self {
        MemberValue::Number(value.into())
    }
}

impl From<i64> for MemberValue {
    fn from(value: i64) -> Self {
        MemberValue::Number(value)
    }
}

impl From<u64> for MemberValue {
    fn from(value: u64) -> Self {
        MemberValue::Number(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<*const c_char> for MemberValue {
    fn from(value: *const c_char) -> Self {
        MemberValue::Text(value)
    }
}

impl Member for u32 {
    type C = u32;
    const TYPE: phantomdb_option_type = PHANTOMDB_OPTION_COUNT;

    fn to_c(&self) -> u32 {
        *self
    }

    unsafe fn from_c(_: &str, given: u32) -> Result<u32> {
        Ok(given)
    }
}

impl Member for u64 {
    type C = u64;
    const TYPE: phantomdb_option_type = PHANTOMDB_OPTION_SIZE;

    fn to_c(&self) -> u64 {
        *self
    }

    unsafe fn from_c(_: &str, given: u64) -> Result<u64> {
        Ok(given)
    }
}

impl Member for Duration {
    type C = i64;
    const TYPE: phantomdb_option_type = PHANTOMDB_OPTION_TIME;

    fn to_c(&self) -> i64 {
        self.as_millis() as i64
    }

    unsafe fn from_c(name: &str, given: i64) -> Result<Duration> {
        from_ms(name, given)
    }
}

impl Member for bool {
    type C = i32;
    const TYPE: phantomdb_option_type = PHANTOMDB_OPTION_FLAG;

    fn to_c(&self) -> i32 {
        i32::from(*self)
    }

    unsafe fn from_c(name: &str, given: i32) -> Result<bool> {
        match given {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(Error::invalid_argument(name, format_args!("{other} is neither 0 nor 1"))),
        }
    }
}

impl Member for String {
    type C = *const c_char;
    const TYPE: phantomdb_option_type = PHANTOMDB_OPTION_TEXT;

    fn to_c(&self) -> *const c_char {
        CString::new(self.as_str()).expect("a default has no NUL").into_raw()
    }

    unsafe fn from_c(name: &str, given: *const c_char) -> Result<String> {
        // SAFETY: `from_c` asks of its caller that a text is NULL or ends with a NUL.
        Ok(unsafe { text(name, given) }?.to_owned())
    }
}

impl Member for Option<Secret> {
    type C = *const c_char;
    const TYPE: phantomdb_option_type = PHANTOMDB_OPTION_TEXT;
    const IS_SECRET: bool = true;

    fn to_c(&self) -> *const c_char {
        assert!(self.is_none(), "there is no default secret");
        ptr::null()
    }

    unsafe fn from_c(name: &str, given: *const c_char) -> Result<Option<Secret>> {
        // SAFETY: `from_c` asks of its caller that a text is NULL or ends with a NUL.
        Ok(unsafe { optional_text(name, given) }?.map(Secret::new))
    }
}

impl Member for Option<PathBuf> {
    type C = *const c_char;
    const TYPE: phantomdb_option_type = PHANTOMDB_OPTION_FILE;

    fn to_c(&self) -> *const c_char {
        assert!(self.is_none(), "there is no default file");
        ptr::null()
    }

    unsafe fn from_c(name: &str, given: *const c_char) -> Result<Option<PathBuf>> {
        // SAFETY: `from_c` asks of its caller that a text is NULL or ends with a NUL.
        Ok(unsafe { optional_text(name, given) }?.map(PathBuf::from))
    }
}

/// A time argument in milliseconds.
pub(super) fn from_ms(name: &str, ms: i64) -> Result<Duration> {
    u64::try_from(ms)
        .map(Duration::from_millis)
        .map_err(|_| Error::invalid_argument(name, format_args!("{ms} is negative")))
}
