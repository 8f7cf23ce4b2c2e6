//! A compiler that can compile the kernel program, and the questions that tell whether one can.
//!
//! Two things decide: `core` for the BPF target, prebuilt or as source, and the LLVM it writes bitcode with, since the
//! linker has to read that. Both are asked of the compiler itself, never assumed: Debian moves its rustc forward, and
//! LLVM with it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fmt, fs, process};

use crate::program;

/// The target of the kernel program.
pub const BPF_TARGET: &str = "bpfel-unknown-none";

/// Where Debian's package `rustc-web` puts its compiler.
pub const DEBIAN_RUSTC: &str = "/usr/bin/rustc";

/// The oldest rustc that compiles the workspace: its `rust-version`.
pub const OLDEST: &str = env!("CARGO_PKG_RUST_VERSION");

/// The two ways of building BPF from Rust.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Debian's own rustc, whose packages bring `core` for BPF ready-made.
    Debian,
    /// rustup's nightly, which builds `core` from its component `rust-src`.
    Nightly,
}

/// What `rustc -vV` says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// The release, as `1.96.0` or `1.97.0-nightly`.
    pub release: String,
    /// The major version of the LLVM inside.
    pub llvm: u32,
}

/// A compiler for the kernel program, without its linker.
#[derive(Clone, Debug)]
pub struct Compiler {
    /// Which of the two ways it is.
    pub way: Way,
    /// The compiler's own file, never rustup's proxy.
    pub rustc: PathBuf,
    /// The cargo that drives it.
    pub cargo: PathBuf,
    /// Its release and LLVM.
    pub version: Version,
}

impl Version {
    /// Reads the output of `rustc -vV`.
    #[must_use]
    pub fn parse(verbose: &str) -> Option<Self> {
        let field = |name: &str| {
            verbose
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        };
        Some(Self {
            release: field("release")?.to_owned(),
            llvm: field("LLVM version")?.split('.').next()?.parse().ok()?,
        })
    }

    fn of(rustc: &Path) -> Option<Self> {
        Self::parse(&program::output_of(rustc, &["-vV"])?)
    }

    fn is_new_enough(&self) -> bool {
        is_at_least(&self.release, OLDEST)
    }
}

impl Compiler {
    /// Looks for Debian's compiler.
    ///
    /// # Errors
    /// Why it cannot compile the kernel program, as the end of a sentence.
    pub fn debian() -> Result<Self, String> {
        let rustc = PathBuf::from(DEBIAN_RUSTC);
        let version = Version::of(&rustc).ok_or_else(|| format!("there is no {DEBIAN_RUSTC}"))?;
        if !version.is_new_enough() {
            let release = &version.release;
            return Err(format!(
                "{DEBIAN_RUSTC} is {release}, and {OLDEST} is needed"
            ));
        }
        if !has_core(&rustc) {
            return Err(format!("{DEBIAN_RUSTC} has no core for {BPF_TARGET}"));
        }
        Ok(Self {
            way: Way::Debian,
            rustc,
            cargo: program::cargo(),
            version,
        })
    }

    /// Looks for rustup's nightly with its component rust-src.
    ///
    /// # Errors
    /// Why it cannot compile the kernel program, as the end of a sentence.
    pub fn nightly() -> Result<Self, String> {
        let rustc = program::find("rustup")
            .and_then(|rustup| {
                program::output_of(&rustup, &["which", "--toolchain", "nightly", "rustc"])
            })
            .map(PathBuf::from)
            .ok_or("rustup has no nightly")?;
        let toolchain = rustc.ancestors().nth(2).unwrap_or(Path::new("/"));
        if !toolchain
            .join("lib/rustlib/src/rust/library/core/src/lib.rs")
            .is_file()
        {
            return Err("rustup's nightly has no rust-src".to_owned());
        }
        let version = Version::of(&rustc).ok_or("rustup's nightly does not run")?;
        if !version.is_new_enough() {
            let release = &version.release;
            return Err(format!(
                "rustup's nightly is {release}, and {OLDEST} is needed"
            ));
        }
        Ok(Self {
            way: Way::Nightly,
            cargo: toolchain.join("bin/cargo"),
            rustc,
            version,
        })
    }

    /// Gives the compiler's own clippy, if it is installed.
    #[must_use]
    pub fn clippy(&self) -> Option<PathBuf> {
        let driver = self.rustc.with_file_name("clippy-driver");
        driver.is_file().then_some(driver)
    }
}

impl fmt::Display for Compiler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whose = match self.way {
            Way::Debian => "Debian's rustc",
            Way::Nightly => "rustup's nightly with rust-src, rustc",
        };
        let Version { release, llvm } = &self.version;
        write!(f, "{whose} {release} (LLVM {llvm})")
    }
}

/// Compares the first two numbers of two versions, which may come from rustc or from a Debian package.
#[must_use]
pub fn is_at_least(version: &str, oldest: &str) -> bool {
    let numbers = |text: &str| -> Option<(u32, u32)> {
        let mut parts = text.split(|c: char| !c.is_ascii_digit());
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    };
    numbers(version).is_some_and(|version| Some(version) >= numbers(oldest))
}

/// Compiles an empty crate for BPF: the one proof that `core` is there and of the same version as the compiler.
fn has_core(rustc: &Path) -> bool {
    let directory = env::temp_dir().join(format!("detector-core-{}", process::id()));
    if fs::create_dir(&directory).is_err() {
        return false;
    }
    let source = directory.join("empty.rs");
    let compiled = fs::write(&source, "#![no_std]\n").is_ok()
        && Command::new(rustc)
            .args([
                "--crate-type=lib",
                "--emit=metadata",
                "--target",
                BPF_TARGET,
            ])
            .arg("--out-dir")
            .arg(&directory)
            .arg(&source)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
    // A leftover in the temporary directory harms nobody.
    let _ = fs::remove_dir_all(&directory);
    compiled
}

#[cfg(test)]
mod tests {
    use super::{Version, is_at_least};

    const DEBIAN: &str = "rustc 1.96.0 (ac68faa20 2026-05-25) (built from a source tarball)\nbinary: rustc\n\
        commit-hash: ac68faa20c58cbccd01ee7208bf3b6e93a7d7f96\ncommit-date: 2026-05-25\n\
        host: x86_64-unknown-linux-gnu\nrelease: 1.96.0\nLLVM version: 22.1.8\n";

    #[test]
    fn rustc_tells_its_release_and_its_llvm() {
        let version = Version::parse(DEBIAN);
        let expected = Version {
            release: "1.96.0".to_owned(),
            llvm: 22,
        };
        assert_eq!(version, Some(expected));
    }

    #[test]
    fn a_compiler_without_llvm_is_no_compiler_for_bpf() {
        assert_eq!(
            Version::parse(&DEBIAN.replace("LLVM version", "backend")),
            None
        );
        assert_eq!(Version::parse(""), None);
    }

    #[test]
    fn versions_compare_as_numbers() {
        assert!(is_at_least("1.95.0", "1.95"));
        assert!(is_at_least("1.100.0", "1.95"));
        assert!(is_at_least("2.0.0", "1.95"));
        assert!(is_at_least("1.96.0+dfsg1-1~deb12u2", "1.95"));
        assert!(is_at_least("1.97.0-nightly", "1.95"));
        assert!(!is_at_least("1.85.0+dfsg3-1~deb12u3", "1.95"));
        assert!(!is_at_least("1.9.0", "1.95"));
        assert!(!is_at_least("(none)", "1.95"));
    }
}
