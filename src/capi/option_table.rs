//! `phantomdb_option_table`: the options of a pool by name.

use std::ffi::{CStr, c_char};
use std::ptr;
use std::sync::OnceLock;

use super::member::{Member, MemberValue};
use super::options;
use crate::config::{MAX_DURATION, RANGES, RangeValues};

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

/// Every option of a pool: its name and type, where its member of `phantomdb_pool_options` is, and
/// what it may be set to. For bindings, and for programs that read options from a file or a command
/// line:
///
///     static int set_time(phantomdb_pool_options *options, const char *name, int64_t ms) {
///         uint64_t count;
///         const phantomdb_option_info *table = phantomdb_option_table(&count);
///         for (uint64_t i = 0; i < count; i++) {
///             if (table[i].type != PHANTOMDB_OPTION_TIME) continue;
///             if (strcmp(table[i].name, name) != 0) continue;
///             if (table[i].offset + table[i].size > sizeof *options) continue;
///             memcpy((char *)options + table[i].offset, &ms, sizeof ms);
///             return 0;
///         }
///         return -1;
///     }
///
/// The ranges are those of each option alone; `phantomdb_pool_create` also refuses options that
/// contradict each other. Returns the first of `*count` entries; they are valid for ever. `count`
/// may be NULL. Safe from any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_option_table(count: *mut u64) -> *const phantomdb_option_info {
    static TABLE: OnceLock<Vec<phantomdb_option_info>> = OnceLock::new();
    let table = TABLE.get_or_init(options::members);
    // SAFETY: C promises that `count` is NULL or writable.
    if let Some(count) = unsafe { count.as_mut() } {
        *count = table.len() as u64;
    }
    table.as_ptr()
}

#[cfg(test)]
mod tests {
    use super::*;
    use phantomdb_option_type::*;

    fn text(pointer: *const c_char) -> &'static str {
        // SAFETY: the texts of the table end with a NUL and are never freed.
        unsafe { CStr::from_ptr(pointer) }.to_str().unwrap()
    }

    /// The members of `phantomdb_pool_options` in the header, each with its comment.
    fn documented() -> Vec<(String, String)> {
        let header = include_str!("../../include/phantomdb.h");
        let (before, _) = header.split_once("} phantomdb_pool_options;").unwrap();
        let (_, body) = before.rsplit_once("struct phantomdb_pool_options {").unwrap();
        let mut members = Vec::new();
        let mut rest = body;
        while let Some((_, from_comment)) = rest.split_once("/**") {
            let (comment, after) = from_comment.split_once("*/").unwrap();
            let (declaration, after) = after.split_once(';').unwrap();
            let name = declaration.split_once("(*").map_or(declaration, |(_, name)| name);
            let name = name.split(')').next().unwrap().trim().rsplit([' ', '*']).next().unwrap();
            let comment = comment.split_whitespace().filter(|word| *word != "*");
            let comment = comment.collect::<Vec<_>>().join(" ").replace('`', "");
            members.push((name.to_owned(), comment));
            rest = after;
        }
        members
    }

    /// How the header tells the default of an option.
    fn default_in_words(info: &phantomdb_option_info) -> String {
        if info.choice_count > 0 {
            // SAFETY: the default of a choice is the number of one.
            let choice = text(unsafe { *info.choices.add(info.default_number as usize) });
            return format!("PHANTOMDB_{}_{choice}", text(info.name)).to_uppercase();
        }
        if info.r#type < PHANTOMDB_OPTION_TEXT as i32 {
            return info.default_number.to_string();
        }
        let default = info.default_text;
        if default.is_null() { "NULL".to_owned() } else { format!("\"{}\"", text(default)) }
    }

    #[test]
    fn the_header_tells_the_default_of_each_option_of_the_table_and_has_no_other() {
        let mut documented = documented();
        let is_option = |name: &str| !["struct_size", "log_user_data", "reserved"].contains(&name);
        documented.retain(|(name, _)| is_option(name));
        assert_eq!(documented.len(), options::members().len());
        for info in options::members() {
            let (name, unit) = (text(info.name), text(info.unit));
            let member = if unit == "ms" { format!("{name}_ms") } else { name.to_owned() };
            let found = documented.iter().find(|(documented, _)| *documented == member);
            let (_, comment) = found.unwrap_or_else(|| panic!("the header lacks {member}"));
            let default = default_in_words(&info);
            let is_told = [".", ";", ":", " ("]
                .map(|end| format!("Default {default}{end}"))
                .into_iter()
                .chain([format!(" {default}, the default,")])
                .any(|words| comment.contains(&words));
            assert!(is_told, "{member}: the default is {default}, but the header says: {comment}");
            let is_told = ["more than 0", "at least 1", "1 to 65535"]
                .iter()
                .any(|words| comment.contains(words));
            assert_eq!(is_told, info.minimum == 1, "{member}: is 0 allowed?");
        }
    }

    #[test]
    fn each_range_of_the_core_is_that_of_an_option_of_the_table() {
        for range in RANGES {
            let named = |info: &phantomdb_option_info| text(info.name) == range.name;
            let info = options::members().into_iter().find(named);
            let info = info.unwrap_or_else(|| panic!("the table lacks {}", range.name));
            assert!(info.minimum <= info.default_number && info.default_number <= info.maximum);
        }
    }
}
