//! How detector's kernel program is built: which compiler and linker, and with which flags.
//!
//! detector's build script and the `cargo xtask` commands share it, so the answer stands in one place. It uses nothing
//! but the standard library, since it is compiled before everything else, and it installs nothing: that is
//! `cargo xtask setup`, in the binary of this package.

pub mod bpf;
pub mod cache;
pub mod linker;
pub mod program;
pub mod rustc;
pub mod toolchain;
