//! With the feature `capi`: generates the C header.
//!
//! No linker arguments here: cargo would hand them on to the shared libraries of dependents.
//! The Makefile gives them, and so does cargo-c.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "capi")]
    generate_header();
}

/// The files that the header is made of, in the order in which it shows them.
#[cfg(feature = "capi")]
const SOURCES: [&str; 12] = [
    "version",
    "error",
    "options",
    "option_table",
    "status",
    "pool",
    "connection",
    "operation",
    "result",
    "value",
    "asynchronous",
    "step",
];

/// Writes the header into the build folder. `make header` copies it to include/, and a test
/// compares the two.
#[cfg(feature = "capi")]
fn generate_header() {
    println!("cargo::rerun-if-changed=cbindgen.toml");
    let folder = |name| std::path::PathBuf::from(std::env::var(name).expect("cargo sets it"));
    let root = folder("CARGO_MANIFEST_DIR");
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml"));
    let mut builder = cbindgen::Builder::new().with_config(config.expect("cbindgen.toml is valid"));
    for source in SOURCES {
        let path = root.join(format!("src/capi/{source}.rs"));
        println!("cargo::rerun-if-changed={}", path.display());
        builder = builder.with_src(path);
    }
    match builder.generate() {
        Ok(bindings) => {
            bindings.write_to_file(folder("OUT_DIR").join("phantomdb.h"));
        }
        // While the code doesn't parse, the compiler has the better message.
        Err(error) => println!("cargo::warning=phantomdb.h was not generated: {error}"),
    }
}
