//! Names of databases and tables, and the files that databases live in.

use crate::error::{Error, Result};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Tables whose name begins so belong to the server and stay out of sight.
pub const RESERVED_PREFIX: &str = "__phantomdb_";

/// The extension of a database's file.
pub const EXTENSION: &str = ".db";

/// File systems allow 255 bytes; SQLite appends up to eight to the name of its files.
const LONGEST_FILE_STEM: usize = 240;

const LONGEST_IDENTIFIER: usize = 255;

/// Capitals are escaped as well, so that `Shop` and `shop` stay two files on a file
/// system that ignores case.
const ESCAPED: &AsciiSet = &{
    let mut set = NON_ALPHANUMERIC.remove(b'_').remove(b'-');
    let mut capital = b'A';
    while capital <= b'Z' {
        set = set.add(capital);
        capital += 1;
    }
    set
};

/// The file name of a database; no two names share one, and none leaves the folder.
pub fn database_file(name: &str) -> Result<String> {
    if name.is_empty() {
        return Err(Error::bad_request("the name of a database is empty"));
    }
    let stem = utf8_percent_encode(name, ESCAPED).to_string();
    if stem.len() > LONGEST_FILE_STEM {
        return Err(Error::bad_request(format!(
            "the name of a database is too long: {} bytes once escaped for the file system, at most {LONGEST_FILE_STEM} fit",
            stem.len()
        )));
    }
    Ok(stem + EXTENSION)
}

/// The name of the database in a file, if the file is one of ours.
pub fn database_of_file(file: &str) -> Option<String> {
    let stem = file.strip_suffix(EXTENSION)?;
    let name = percent_decode_str(stem).decode_utf8().ok()?.into_owned();
    (database_file(&name).ok()? == file).then_some(name)
}

/// Refuses names of tables and columns that SQLite or this server cannot hold.
pub fn check_identifier(what: &str, name: &str) -> Result<()> {
    let problem = if name.is_empty() {
        "is empty".into()
    } else if name.len() > LONGEST_IDENTIFIER {
        format!("is too long: {} bytes, at most {LONGEST_IDENTIFIER} are allowed", name.len())
    } else if name.contains('\0') {
        "contains a NUL character".into()
    } else if is_reserved(name) || starts_with_ignoring_case(name, "sqlite_") {
        "begins with a reserved prefix".into()
    } else {
        return Ok(());
    };
    Err(Error::bad_request(format!("the name of a {what} {problem}")))
}

/// Whether a table of this name belongs to the server.
pub fn is_reserved(name: &str) -> bool {
    starts_with_ignoring_case(name, RESERVED_PREFIX)
}

fn starts_with_ignoring_case(name: &str, prefix: &str) -> bool {
    name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// An identifier as SQL text.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_stay_in_the_folder_and_apart_from_each_other() {
        let names = [
            "shop", "Shop", "SHOP", "..", ".", "../x", "a/b", "a%2Fb", "a b", "ä", "a.db", "a-wal",
            "%41", "\0",
        ];
        let mut files: Vec<String> =
            names.iter().map(|name| database_file(name).unwrap().to_lowercase()).collect();
        for (name, file) in names.iter().zip(&files) {
            assert!(!file.contains('/') && !file.starts_with('.'), "{file}");
            let exact = database_file(name).unwrap();
            assert_eq!(database_of_file(&exact).as_deref(), Some(*name));
        }
        files.sort();
        files.dedup();
        assert_eq!(files.len(), names.len());
    }

    #[test]
    fn foreign_files_and_long_names_are_not_databases() {
        assert_eq!(database_of_file("Shop.db"), None);
        assert_eq!(database_of_file("shop.db-wal"), None);
        assert_eq!(database_of_file(".db"), None);
        assert!(database_file(&"x".repeat(240)).is_ok());
        assert!(database_file(&"x".repeat(241)).is_err());
        assert!(database_file("").is_err());
    }
}
