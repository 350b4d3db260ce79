# From sources to a bootable image, and to the agent for Linux guests.
#
# The image is for a target without an operating system, so the compiler's library sources are built
# with it. Two ways lead there, the first that is open is taken:
#   1. rustup's toolchain with its component rust-src;
#   2. Debian's packages rustc-web and rust-web-src, with rustup's cargo or Debian's cargo-web.
# Either way the compiler is a stable one; RUSTC_BOOTSTRAP lets it take the -Z options.

image_bytes_max=$((1216 * 1024))
target=${CARGO_TARGET_DIR:-$root/target}
image=$target/fulcrum

# The oldest compiler that builds the image (rust-version in Cargo.toml).
rust_minor_min=95

# rust_minor RUSTC: 96 for "rustc 1.96.0 (…)"; nothing when there is no such compiler.
rust_minor() {
    local version
    version=$("$1" --version 2>/dev/null) || return 1
    [[ $version =~ ^rustc\ 1\.([0-9]+)\. ]] && echo "${BASH_REMATCH[1]}"
}

# builds_images RUSTC: it is new enough, and its library's sources lie beside it.
builds_images() {
    local minor
    minor=$(rust_minor "$1") && ((minor >= rust_minor_min)) &&
        [[ -f $("$1" --print sysroot)/lib/rustlib/src/rust/library/core/src/lib.rs ]]
}

# Sets `compiler`, the rustc for the image, and says which it is.
find_compiler() {
    local candidate
    for candidate in $(rustup_compilers) /usr/bin/rustc; do
        if builds_images "$candidate"; then
            compiler=$candidate
            note "compiler: $("$compiler" --version) with its library sources, $compiler"
            return
        fi
    done
    return 1
}

# Every rustc that rustup has, the default one first.
rustup_compilers() {
    local toolchain
    has rustup || return 0
    rustup which rustc 2>/dev/null || true
    for toolchain in $(rustup toolchain list --quiet 2>/dev/null); do
        rustup which rustc --toolchain "$toolchain" 2>/dev/null || true
    done
}

require_build_tools() {
    require_program cargo cargo-web
    require ca-certificates test -e /etc/ssl/certs/ca-certificates.crt
    if ! find_compiler 2>/dev/null; then
        missing+=(rustc-web rust-web-src)
    fi
    require_program cc gcc
    require_program strip binutils
    require libc6-dev test -e /usr/include/stdio.h
    has ld.lld || find_rust_lld >/dev/null || missing+=(lld)
}

# LLVM's linker, as rustup's toolchains bring it.
find_rust_lld() {
    local linker
    linker=$(rustc --print sysroot 2>/dev/null)/lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-lld
    [[ -x $linker ]] && echo "$linker"
}

# Builds the image, `$image`.
build_image() {
    local linker built bytes
    find_compiler || fail "no compiler that builds the image: it takes Rust 1.$rust_minor_min or newer and its
library sources. With rustup: rustup component add rust-src
On Debian 12: apt-get install rustc-web rust-web-src"
    has cargo || fail "cargo is missing. With rustup: https://rustup.rs
On Debian 12: apt-get install cargo-web"
    linker=$(command -v ld.lld || find_rust_lld)
    built=$target/x86_64-target/release/fulcrum
    (
        cd "$root"
        RUSTC=$compiler RUSTC_BOOTSTRAP=1 CARGO_TARGET_X86_64_TARGET_LINKER=$linker \
            cargo build --quiet --package kernel --bin fulcrum --features image \
            --release --target x86_64-target.json -Zjson-target-spec \
            -Zbuild-std=core,alloc,compiler_builtins \
            -Zbuild-std-features=compiler-builtins-mem,optimize_for_size >&2
    ) || fail "the image did not build"
    strip --output-file "$image" "$built" || fail "the image could not be stripped"
    bytes=$(stat --format %s "$image")
    ((bytes <= image_bytes_max)) ||
        fail "the image has $bytes bytes, more than $image_bytes_max: $image"
    note "image: $bytes bytes, $image"
}

# Builds the agent as a static Linux program; its path is then in `$agent`.
build_agent() {
    local host=x86_64-unknown-linux-gnu
    (
        cd "$root"
        CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS="-C target-feature=+crt-static" \
            cargo build --quiet --package fulcrum-agent --release --target "$host" >&2
    ) || fail "the agent did not build"
    agent=$target/$host/release/fulcrum-agent
}
