//! Compiles the kernel program and hands its two objects to the crate as `DETECTOR_OBJECT` and `BENCH_OBJECT`.
//!
//! How it is compiled is decided in package xtask. The objects are copied, so that a build with other features cannot
//! change them behind this one's back.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs, process};

use xtask::{bpf, toolchain};

fn main() {
    if let Err(error) = build() {
        println!("cargo::error={error}");
        process::exit(1);
    }
}

fn build() -> Result<(), Box<dyn Error>> {
    // Asked as it runs: the script may have been compiled for another checkout, whose `target` was copied.
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("..");
    for source in [
        "detector-ebpf",
        "detector-common",
        "Cargo.toml",
        "Cargo.lock",
    ] {
        println!("cargo::rerun-if-changed={}", root.join(source).display());
    }

    let toolchain = toolchain::find()?;
    for program in [&toolchain.compiler.rustc, &toolchain.linker.path] {
        println!("cargo::rerun-if-changed={}", program.display());
    }

    let features: &[&str] = if cfg!(feature = "debug-log") {
        &["debug-log"]
    } else {
        &[]
    };
    let out_dir = PathBuf::from(env::var("OUT_DIR")?);
    let objects = bpf::build(&toolchain, &root, bpf::target_dir(&out_dir), features)?;
    for (variable, file, object) in [
        ("DETECTOR_OBJECT", "detector.o", objects.detector),
        ("BENCH_OBJECT", "bench.o", objects.bench),
    ] {
        let copy = out_dir.join(file);
        fs::copy(&object, &copy)
            .map_err(|error| format!("cannot copy {}: {error}", object.display()))?;
        println!("cargo::rustc-env={variable}={}", copy.display());
    }
    Ok(())
}
