//! Hands the linker the layout of the image (a dependency's build script cannot: its link arguments
//! do not reach the binary) and asks for a map, with which the addresses of a trace get names.

use std::env;
use std::path::PathBuf;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if env::var_os("CARGO_FEATURE_IMAGE").is_none() {
        return;
    }
    let script = manifest_dir().join("../boot/image.ld");
    println!("cargo:rerun-if-changed={}", script.display());
    println!("cargo:rustc-link-arg-bins=--script={}", script.display());
    println!("cargo:rustc-link-arg-bins=--Map={}", map().display());
    println!("cargo:rustc-link-arg-bins=--strip-all");
    // The file is no mapping: pages begin in memory alone.
    println!("cargo:rustc-link-arg-bins=--nmagic");
}

fn manifest_dir() -> PathBuf {
    PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo names the package's directory"))
}

/// `fulcrum.map` beside the image: OUT_DIR is `<profile>/build/kernel-<hash>/out`.
fn map() -> PathBuf {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo gives build scripts an OUT_DIR"));
    let profile = out.ancestors().nth(3).expect("OUT_DIR lies three levels below the profile's");
    profile.join("fulcrum.map")
}
