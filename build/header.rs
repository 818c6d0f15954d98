//! The C header: a section for each task, with its types beside its functions.
//!
//! cbindgen writes all types of what it is given before all functions. So it is given one file of
//! `src/capi` at a time, and what it makes of them is put together here, in the order of [`TASKS`].

use std::path::{Path, PathBuf};

use cbindgen::{Builder, Config};

#[path = "text.rs"]
mod text;

use text::{with_short_comments, with_tags};

/// What a program does with the library, in the order in which a newcomer needs it, and the files
/// that declare it. A file's types must be known by then: C reads from the top.
const TASKS: [(&str, &[&str]); 12] = [
    ("Versions", &["version"]),
    ("Errors", &["error"]),
    ("Options", &["options", "member", "option_info", "option_table"]),
    ("Pools: create, change, close", &["pool"]),
    ("Connections: acquire, release", &["connection"]),
    ("Requests", &["result", "operation", "request"]),
    ("Results: text, tables, lists", &["reading"]),
    ("Results: many values in one call", &["value"]),
    ("Asynchronous calls", &["asynchronous"]),
    ("Asynchronous calls in an event loop: completion queues", &["completion", "completion_queue"]),
    ("Requests step by step, in an event loop of the program", &["step"]),
    ("Status and statistics", &["statistics"]),
];

const GUARD: &str = "PHANTOMDB_H";
const INCLUDES: [&str; 2] = ["stdbool.h", "stdint.h"];

/// The files that the header is made from.
pub fn sources(root: &Path) -> impl Iterator<Item = PathBuf> {
    let files = TASKS.iter().flat_map(|(_, files)| files.iter());
    files.map(|file| root.join(format!("src/capi/{file}.rs")))
}

/// The whole header.
pub fn generate(root: &Path) -> Result<String, cbindgen::Error> {
    let mut config = Config::from_file(root.join("cbindgen.toml")).expect("cbindgen.toml is valid");
    let essay = config.header.take().expect("cbindgen.toml has the essay");
    let mut header = format!("{}\n\n#ifndef {GUARD}\n#define {GUARD}\n\n", essay.trim());
    header.extend(INCLUDES.map(|file| format!("#include <{file}>\n")));
    header.push_str("\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n");
    let mut sources = sources(root);
    for (title, files) in TASKS {
        header.push_str(&format!("/* ---- {title} ---- */\n\n"));
        for source in sources.by_ref().take(files.len()) {
            header.push_str(&declarations(&config, source)?);
        }
    }
    header.push_str(&format!("#ifdef __cplusplus\n}}\n#endif\n\n#endif /* {GUARD} */\n"));
    Ok(header)
}

/// What one file declares, each followed by an empty line.
fn declarations(config: &Config, source: PathBuf) -> Result<String, cbindgen::Error> {
    let mut config = config.clone();
    // Else it leaves out the types that none of the file's functions mentions.
    let code = std::fs::read_to_string(&source).unwrap_or_default();
    config.export.include = public_types(&code).map(str::to_owned).collect();
    let mut written = Vec::new();
    Builder::new().with_config(config).with_src(source).generate()?.write(&mut written);
    let text = String::from_utf8(written).expect("cbindgen writes UTF-8");
    Ok(with_short_comments(&with_tags(text.trim())) + "\n\n")
}

/// The names of the types that this code makes public.
fn public_types(code: &str) -> impl Iterator<Item = &str> {
    code.lines().filter_map(|line| {
        let declared = ["struct ", "enum ", "type "]
            .into_iter()
            .find_map(|kind| line.strip_prefix("pub ")?.strip_prefix(kind))?;
        declared.split(|c: char| !c.is_alphanumeric() && c != '_').next()
    })
}
