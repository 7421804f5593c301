// SPDX-License-Identifier: MIT OR Apache-2.0
//! Keeps the driver in memory once it is loaded.

fn main() {
    // pcscd unloads a driver with its last reader. Rust's runtime keeps things of each thread that
    // are tidied up later: their code must still be there.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    println!("cargo::rerun-if-changed=build.rs");
}
