//! With the feature `capi`: generates the C header.
//!
//! No linker arguments here: cargo would hand them on to the shared libraries of dependents.
//! The Makefile gives them, and so does cargo-c.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "capi")]
    generate_header();
}

/// Writes the header into the build folder. `make header` copies it to include/, and a test
/// compares the two.
#[cfg(feature = "capi")]
fn generate_header() {
    for input in ["src/capi", "cbindgen.toml"] {
        println!("cargo::rerun-if-changed={input}");
    }
    let root = std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
    let folder = std::env::var("OUT_DIR").expect("cargo sets it");
    match cbindgen::generate(root) {
        Ok(bindings) => {
            bindings.write_to_file(std::path::Path::new(&folder).join("phantomdb.h"));
        }
        // While the code doesn't parse, the compiler has the better message.
        Err(error) => println!("cargo::warning=phantomdb.h was not generated: {error}"),
    }
}
