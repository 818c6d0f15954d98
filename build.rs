//! With the feature `header`: generates the C header.
//!
//! No linker arguments here: cargo would hand them on to the shared libraries of dependents.
//! The Makefile gives them, and so does cargo-c.

#[cfg(feature = "header")]
#[path = "build/header.rs"]
mod header;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "header")]
    write_header();
}

/// Writes the header into the build folder. `make header` copies it to include/, and a test
/// compares the two.
#[cfg(feature = "header")]
fn write_header() {
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rerun-if-changed=cbindgen.toml");
    let folder = |name| std::path::PathBuf::from(std::env::var(name).expect("cargo sets it"));
    let root = folder("CARGO_MANIFEST_DIR");
    for source in header::sources(&root) {
        println!("cargo::rerun-if-changed={}", source.display());
    }
    match header::generate(&root) {
        Ok(text) => std::fs::write(folder("OUT_DIR").join("phantomdb.h"), text)
            .expect("the build folder can be written to"),
        // While the code doesn't parse, the compiler has the better message.
        Err(error) => println!("cargo::warning=phantomdb.h was not generated: {error}"),
    }
}
