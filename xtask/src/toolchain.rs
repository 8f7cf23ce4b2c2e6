//! Which of the two ways to build the kernel program this machine has.
//!
//! rustup's nightly is taken only where it is complete: with rust-src, and with a bpf-linker that reads its bitcode.
//! Everywhere else it is Debian's own compiler. Nothing here changes the machine.

use std::fmt;

use crate::linker::{self, Linker};
use crate::rustc::Compiler;

/// A compiler and a linker that fit each other.
#[derive(Clone, Debug)]
pub struct Toolchain {
    /// Compiles the kernel program to bitcode.
    pub compiler: Compiler,
    /// Makes one object file of it.
    pub linker: Linker,
}

/// What the machine lacks to build the kernel program.
#[derive(Clone, Debug)]
pub enum Missing {
    /// Neither compiler can do it.
    Compiler {
        /// What is wrong with Debian's.
        debian: String,
        /// What is wrong with rustup's nightly.
        nightly: String,
    },
    /// Debian's compiler can, but no bpf-linker has an LLVM as new as its own.
    Linker(Compiler),
}

/// Finds the toolchain for the kernel program.
///
/// # Errors
/// What is missing; its text is one line and ends in the cure.
pub fn find() -> Result<Toolchain, Missing> {
    let nightly = match Compiler::nightly() {
        Ok(compiler) => match linker::fitting(compiler.version.llvm) {
            Some(linker) => return Ok(Toolchain { compiler, linker }),
            None => format!("no bpf-linker fits {compiler}"),
        },
        Err(why) => why,
    };
    match Compiler::debian() {
        Ok(compiler) => match linker::fitting(compiler.version.llvm) {
            Some(linker) => Ok(Toolchain { compiler, linker }),
            None => Err(Missing::Linker(compiler)),
        },
        Err(debian) => Err(Missing::Compiler { debian, nightly }),
    }
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.compiler, self.linker)
    }
}

impl Missing {
    /// Says what is missing, without the cure.
    #[must_use]
    pub fn what(&self) -> String {
        match self {
            Self::Compiler { debian, nightly } => format!("{debian}; {nightly}"),
            Self::Linker(compiler) => {
                let llvm = compiler.version.llvm;
                format!("no bpf-linker has LLVM {llvm} or newer, which {compiler} needs")
            }
        }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "cannot build the kernel program: {}: run `cargo xtask setup`",
            self.what()
        )
    }
}

impl std::error::Error for Missing {}
