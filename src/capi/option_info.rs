//! `phantomdb_option_info`: what the table of options says of one.

use std::ffi::{CStr, c_char};
use std::ptr;

use super::member::{Member, MemberValue, phantomdb_option_type};
use crate::config::{MAX_DURATION, RANGES, RangeValues};

/// An option of a pool; see `phantomdb_option_table`.
#[repr(C)]
pub struct phantomdb_option_info {
    /// Its name, "acquire_timeout" for example: that of its member without the unit. Messages of
    /// errors about the option begin with it.
    pub name: *const c_char,
    /// The unit of its value: "ms", "bytes", or "" if it has none.
    pub unit: *const c_char,
    /// One of `phantomdb_option_type`. Skip an option whose type you don't know.
    pub r#type: i32,
    /// Where its member is in `phantomdb_pool_options`, in bytes from the beginning. Skip an option
    /// whose member lies behind the end of your struct: the library is newer than your header.
    pub offset: u32,
    /// How many bytes its member has.
    pub size: u32,
    /// How many choices there are; 0 if it is not a choice.
    pub choice_count: u32,
    /// The name of each choice, "ping" for example, in the order of the numbers, from 0.
    pub choices: *const *const c_char,
    /// The least value of a number; 0 for a text.
    pub minimum: i64,
    /// The greatest value of a number; 0 for a text.
    pub maximum: i64,
    /// The default of a number; 0 for a text.
    pub default_number: i64,
    /// The default of a text; NULL if it has none, and for a number.
    pub default_text: *const c_char,
    /// Whether its value is secret: programs must not show or log it.
    pub is_secret: bool,
    /// For later versions; zero.
    pub reserved: [u8; 23],
}

// SAFETY: the pointers lead to text and to arrays that are never changed or freed.
unsafe impl Sync for phantomdb_option_info {}
// SAFETY: no thread owns what they lead to.
unsafe impl Send for phantomdb_option_info {}

impl phantomdb_option_info {
    /// The entry of an option of this type. `name` ends with a NUL.
    pub(super) fn of<M: Member>(_: &M, default: M::C, name: &'static str, offset: usize) -> Self {
        let (default_number, default_text) = match default.into() {
            MemberValue::Number(number) => (number, ptr::null()),
            MemberValue::Text(text) => (0, text),
        };
        let choices: Vec<_> = M::CHOICES.iter().map(|choice| choice.as_ptr()).collect();
        let range = range(name.trim_end_matches('\0'), M::TYPE, choices.len());
        phantomdb_option_info {
            name: name.as_ptr().cast(),
            unit: unit(M::TYPE).as_ptr(),
            r#type: M::TYPE as i32,
            offset: offset as u32,
            size: size_of::<M::C>() as u32,
            choice_count: choices.len() as u32,
            choices: if choices.is_empty() { ptr::null() } else { choices.leak().as_ptr() },
            minimum: range.0,
            maximum: range.1,
            default_number,
            default_text,
            is_secret: M::IS_SECRET,
            reserved: [0; 23],
        }
    }

    /// The entry of `log`.
    pub(super) fn of_log(offset: usize) -> Self {
        phantomdb_option_info {
            name: c"log".as_ptr(),
            unit: c"".as_ptr(),
            r#type: phantomdb_option_type::PHANTOMDB_OPTION_LOG as i32,
            offset: offset as u32,
            size: size_of::<Option<unsafe extern "C" fn()>>() as u32,
            choice_count: 0,
            choices: ptr::null(),
            minimum: 0,
            maximum: 0,
            default_number: 0,
            default_text: ptr::null(),
            is_secret: false,
            reserved: [0; 23],
        }
    }
}

fn unit(option_type: phantomdb_option_type) -> &'static CStr {
    match option_type {
        phantomdb_option_type::PHANTOMDB_OPTION_TIME => c"ms",
        phantomdb_option_type::PHANTOMDB_OPTION_SIZE => c"bytes",
        _ => c"",
    }
}

/// The least and the greatest value of an option; of a time in milliseconds.
fn range(name: &str, option_type: phantomdb_option_type, choices: usize) -> (i64, i64) {
    let number = RANGES.iter().find(|range| range.name == name);
    match number.map(|range| &range.values) {
        Some(RangeValues::Count { least, most, .. }) => ((*least).into(), (*most).into()),
        Some(RangeValues::Size { least, most, .. }) => (*least as i64, *most as i64),
        Some(RangeValues::Time { may_be_zero, .. }) => {
            (i64::from(!may_be_zero), MAX_DURATION.as_millis() as i64)
        }
        None if option_type == phantomdb_option_type::PHANTOMDB_OPTION_FLAG => (0, 1),
        None => (0, choices.saturating_sub(1) as i64),
    }
}
