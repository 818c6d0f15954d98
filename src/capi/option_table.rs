//! `phantomdb_option_table`: the options of a pool by name.

use std::sync::OnceLock;

use super::option_info::phantomdb_option_info;
use super::options;

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
/// contradict each other. Returns the first of `*count` entries, which are never freed. `count`
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
    use std::ffi::{CStr, c_char};

    use super::super::member::phantomdb_option_type::*;
    use super::*;
    use crate::config::RANGES;

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
