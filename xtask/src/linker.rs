//! bpf-linker: which one on this machine can read what a given compiler writes.
//!
//! The linker reads the compiler's bitcode, so its LLVM has to be at least as new as the compiler's. Its own version says
//! nothing about that: the LLVM is chosen when it is built. One that does not fit is passed over and left alone; the one
//! set-up builds goes to a directory of its own, so that it replaces nobody's.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use crate::{cache, program};

/// The version that set-up builds.
pub const VERSION: &str = "0.13.0";

/// The LLVM versions that [`VERSION`] can be built with.
pub const LLVM_VERSIONS: RangeInclusive<u32> = 21..=23;

const NAME: &str = "bpf-linker";

/// A bpf-linker and the LLVM it was built with.
#[derive(Clone, Debug)]
pub struct Linker {
    /// The program.
    pub path: PathBuf,
    /// The major version of its LLVM.
    pub llvm: u32,
}

impl fmt::Display for Linker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (LLVM {})", self.path.display(), self.llvm)
    }
}

/// Gives the first linker that reads the bitcode of this LLVM: of `PATH`, of cargo's programs, or the one set-up built.
#[must_use]
pub fn fitting(llvm: u32) -> Option<Linker> {
    let mut candidates = program::find_all(NAME);
    candidates.extend(own_root(llvm).map(|root| root.join("bin").join(NAME)));
    candidates
        .into_iter()
        .filter_map(|path| {
            let llvm = llvm_of(&path)?;
            Some(Linker { path, llvm })
        })
        .find(|linker| linker.llvm >= llvm)
}

/// Gives the directory set-up installs a linker for this LLVM to: in the user's cache, so that every clone finds it.
#[must_use]
pub fn own_root(llvm: u32) -> Option<PathBuf> {
    Some(cache::directory()?.join(format!("{NAME}-{VERSION}-llvm-{llvm}")))
}

/// Asks the LLVM inside: `--version` among LLVM's own arguments makes it print its version and end, so the file names
/// behind it are never opened. A linker whose libLLVM is gone does not even start, and gives nothing.
fn llvm_of(linker: &Path) -> Option<u32> {
    parse_llvm(&program::output_of(
        linker,
        &[
            "--llvm-args=--version",
            "--output=/dev/null/none",
            "/dev/null",
        ],
    )?)
}

fn parse_llvm(text: &str) -> Option<u32> {
    let (_, version) = text.split_once("LLVM version ")?;
    version.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::parse_llvm;

    #[test]
    fn the_llvm_of_a_linker_is_read_from_its_own_words() {
        let debian = "Debian LLVM version 22.1.8\n  Optimized build.";
        let rust = "LLVM (http://llvm.org/):\n  LLVM version 21.1.2-rust-1.92.0-nightly\n  Optimized build.";
        assert_eq!(parse_llvm(debian), Some(22));
        assert_eq!(parse_llvm(rust), Some(21));
        assert_eq!(parse_llvm("bpf-linker 0.13.0"), None);
    }
}
