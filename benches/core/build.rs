//! Compiles the contenders that are written in C, and links what they use.

use std::env;
use std::path::Path;

const SOURCES: [&str; 9] =
    ["beside", "curl", "handoff", "mongoc", "phantomdb", "raw", "scale", "shelf", "zdb"];

fn main() {
    println!("cargo::rerun-if-changed=c");
    for variable in ["LIB_DIR", "INCLUDE_DIR"] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    let folder = |name| env::var(name).unwrap_or_else(|_| panic!("{name}: run `make bench`"));
    let (library, header) = (folder("LIB_DIR"), folder("INCLUDE_DIR"));

    let mut build = cc::Build::new();
    build.std("gnu11").opt_level(2).warnings_into_errors(true).include(header);
    for source in SOURCES {
        build.file(format!("c/{source}.c"));
    }
    for package in ["libmongoc-1.0", "zdb", "libcurl"] {
        let found = pkg_config::probe_library(package).unwrap_or_else(|error| panic!("{error}"));
        build.includes(found.include_paths);
    }
    // libzdb's headers are meant to be found without their folder's name, too.
    build.include("/usr/include/zdb").compile("contenders");

    println!("cargo::rustc-link-search=native={library}");
    println!("cargo::rustc-link-lib=dylib=phantomdb");
    println!("cargo::rustc-link-arg=-Wl,-rpath,{}", Path::new(&library).display());
}
