//! The cargo command that compiles package detector-ebpf for the kernel.
//!
//! It runs inside another cargo: detector's build script. So it has a target directory of its own, or the two would wait
//! for each other's lock for ever, and an environment scrubbed of what the outer cargo says about the host's build.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::{env, fmt, fs, io};

use crate::rustc::{BPF_TARGET, Way};
use crate::toolchain::Toolchain;

const PACKAGE: &str = "detector-ebpf";

/// Flags of every compilation for BPF, beside the `cfg` of the host's architecture. One line each.
const RUSTFLAGS: &[&str] = &[
    // BTF is made from the debug information; loaders and the verifier's messages use it.
    "-Cdebuginfo=2",
    "-Clink-arg=--btf",
    // 32-bit instructions and jumps, which every kernel with a ring buffer has.
    "-Ctarget-cpu=v3",
    // Sets and copies memory with whole words; in order, it calls a loop over bytes.
    "-Clink-arg=--disable-expand-memcpy-in-order",
];

/// The crates with inline assembly for BPF, an unstable feature (`asm_experimental_arch`) that Debian's compiler allows to
/// those it is told by name: aya-ebpf and the kernel program.
const UNSTABLE_CRATES: &str = "aya_ebpf,detector";

/// Variables that cargo sets for a build script or a lint run, or a user for the host's build.
const HOST_ONLY: &[&str] = &[
    "CLIPPY_ARGS",
    "DEBUG",
    "HOST",
    "NUM_JOBS",
    "OPT_LEVEL",
    "OUT_DIR",
    "PROFILE",
    "RUSTDOC",
    "RUSTDOCFLAGS",
    "RUSTFLAGS",
    "TARGET",
];

/// The `CARGO_` variables that say where and how to fetch and print, not what to build.
const CARGO_KEPT: &[&str] = &[
    "CARGO_HOME",
    "CARGO_HTTP_",
    "CARGO_MAKEFLAGS",
    "CARGO_NET_",
    "CARGO_REGISTR",
    "CARGO_TERM_",
];

/// The two objects of package detector-ebpf.
#[derive(Clone, Debug)]
pub struct Objects {
    /// The XDP program.
    pub detector: PathBuf,
    /// Programs for measuring against.
    pub bench: PathBuf,
}

/// Why there are no objects.
#[derive(Debug)]
pub enum Error {
    /// Cargo could not be started.
    Start(PathBuf, io::Error),
    /// Cargo ran and failed; it has said why on standard error.
    Failed(ExitStatus),
    /// The compiler has no clippy.
    NoClippy(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(cargo, error) => {
                write!(f, "cannot run {}: {error}", cargo.display())
            }
            Self::Failed(status) => write!(
                f,
                "{PACKAGE} does not compile for {BPF_TARGET} ({status}): the compiler's messages say why"
            ),
            Self::NoClippy(compiler) => {
                write!(f, "{compiler} has no clippy: run `cargo xtask setup`")
            }
        }
    }
}

impl std::error::Error for Error {}

/// Compiles the kernel program, its output below `target_dir`, and gives the object files.
///
/// # Errors
/// Cargo cannot be started or fails.
pub fn build(
    toolchain: &Toolchain,
    workspace_root: &Path,
    target_dir: &Path,
    features: &[&str],
) -> Result<Objects, Error> {
    let status = cargo("build", toolchain, workspace_root, target_dir, features)
        .status()
        .map_err(|error| Error::Start(toolchain.compiler.cargo.clone(), error))?;
    if !status.success() {
        return Err(Error::Failed(status));
    }
    let directory = own_target_dir(target_dir, features)
        .join(BPF_TARGET)
        .join("release");
    Ok(Objects {
        detector: directory.join("detector"),
        bench: directory.join("bench"),
    })
}

/// Gives the command that runs clippy over the kernel program and the crates of the workspace below it, for BPF.
///
/// # Errors
/// The compiler's own clippy is not installed: no other can read its `core`.
pub fn clippy(
    toolchain: &Toolchain,
    workspace_root: &Path,
    target_dir: &Path,
    features: &[&str],
) -> Result<Command, Error> {
    let driver = toolchain
        .compiler
        .clippy()
        .ok_or_else(|| Error::NoClippy(toolchain.compiler.to_string()))?;
    let mut command = cargo("check", toolchain, workspace_root, target_dir, features);
    // What `cargo clippy` does: the driver wraps the compiler for the workspace's own crates.
    command
        .env("RUSTC_WORKSPACE_WRAPPER", driver)
        .env("CLIPPY_ARGS", "-Dwarnings__CLIPPY_HACKERY__");
    Ok(command)
}

/// Gives the target directory that `path` is in. Of some inside each other it is the outermost: a build for a named target
/// has its own inside the workspace's, and so have the fuzz targets, and the kernel program is the same for all of them.
#[must_use]
pub fn target_dir(path: &Path) -> &Path {
    path.ancestors()
        .skip_while(|directory| !is_target_dir(directory))
        .take_while(|directory| is_target_dir(directory))
        .last()
        .unwrap_or(path)
}

/// Cargo marks a directory that it has made as a cache, with words that others do not use. In one that was there before, such
/// as a mounted volume, only what it remembers of the compiler tells.
fn is_target_dir(directory: &Path) -> bool {
    let tag = fs::read_to_string(directory.join("CACHEDIR.TAG")).unwrap_or_default();
    tag.contains("created by cargo") || directory.join(".rustc_info.json").is_file()
}

fn cargo(
    subcommand: &str,
    toolchain: &Toolchain,
    workspace_root: &Path,
    target_dir: &Path,
    features: &[&str],
) -> Command {
    let own_target_dir = own_target_dir(target_dir, features);
    let mut command = Command::new(&toolchain.compiler.cargo);
    scrub(&mut command);
    command
        .current_dir(workspace_root)
        .args([subcommand, "--package", PACKAGE, "--bins", "--release"])
        .args(["--target", BPF_TARGET, "--target-dir"])
        .arg(&own_target_dir)
        .args(features.iter().flat_map(|feature| ["--features", feature]))
        // Where the user's configuration names a build directory, it would be the outer cargo's, which is locked.
        .env("CARGO_BUILD_BUILD_DIR", &own_target_dir)
        .env("CARGO_ENCODED_RUSTFLAGS", rustflags())
        .env(
            "CARGO_TARGET_BPFEL_UNKNOWN_NONE_LINKER",
            &toolchain.linker.path,
        )
        .env("RUSTC", &toolchain.compiler.rustc)
        // Empty, not unset: that also overrules the user's configuration.
        .env("RUSTC_WRAPPER", "")
        .env("RUSTC_WORKSPACE_WRAPPER", "");
    match toolchain.compiler.way {
        Way::Debian => command.env("RUSTC_BOOTSTRAP", UNSTABLE_CRATES),
        Way::Nightly => command.arg("-Zbuild-std=core"),
    };
    command
}

/// One directory per set of features, so that two builds at a time do not overwrite each other's objects.
fn own_target_dir(target_dir: &Path, features: &[&str]) -> PathBuf {
    target_dir.join([&["bpf"], features].concat().join("-"))
}

fn rustflags() -> String {
    // In a build script it is the machine detector is built for, which need not be the one that compiles.
    let arch = env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_else(|_| env::consts::ARCH.to_owned());
    let mut flags = format!("--cfg=bpf_target_arch=\"{arch}\"");
    for flag in RUSTFLAGS {
        // Cargo's separator within this variable.
        flags.push('\x1f');
        flags.push_str(flag);
    }
    flags
}

/// Takes away what would make this build a part of the outer one.
pub fn scrub(command: &mut Command) {
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(belongs_to_the_outer_build) {
            command.env_remove(name);
        }
    }
}

fn belongs_to_the_outer_build(name: &str) -> bool {
    let starts_with = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    HOST_ONLY.contains(&name)
        || starts_with(&["DEP_", "RUSTC"])
        || name.starts_with("CARGO") && !starts_with(CARGO_KEPT)
}

#[cfg(test)]
mod tests {
    use super::{belongs_to_the_outer_build, own_target_dir, rustflags, target_dir};
    use std::path::{Path, PathBuf};
    use std::{env, fs, process};

    #[test]
    fn what_the_outer_cargo_says_of_its_build_does_not_reach_the_inner_one() {
        for name in [
            "CARGO",
            "CARGO_BUILD_TARGET",
            "CARGO_CFG_TARGET_ARCH",
            "CARGO_ENCODED_RUSTFLAGS",
            "CARGO_FEATURE_DEBUG_LOG",
            "CARGO_TARGET_DIR",
            "DEP_Z_INCLUDE",
            "RUSTC",
            "RUSTC_WORKSPACE_WRAPPER",
            "RUSTFLAGS",
            "TARGET",
        ] {
            assert!(belongs_to_the_outer_build(name), "{name} should be removed");
        }
    }

    #[test]
    fn what_fetching_and_printing_need_is_kept() {
        for name in [
            "CARGO_HOME",
            "CARGO_HTTP_PROXY",
            "CARGO_MAKEFLAGS",
            "CARGO_NET_OFFLINE",
            "CARGO_TERM_COLOR",
            "HOME",
            "PATH",
            "RUSTUP_HOME",
            "RUSTUP_TOOLCHAIN",
        ] {
            assert!(!belongs_to_the_outer_build(name), "{name} should be kept");
        }
    }

    #[test]
    fn a_target_directory_inside_another_shares_what_is_built_for_the_kernel() {
        let cache = env::temp_dir().join(format!("detector-target-{}", process::id()));
        let (target, fuzz) = (cache.join("target"), cache.join("target/fuzz"));
        let out = fuzz.join("release/build/out");
        fs::create_dir_all(&out).unwrap();
        fs::write(cache.join("CACHEDIR.TAG"), "a cache of somebody else's").unwrap();
        let tag = "# This file is a cache directory tag created by cargo.\n";
        fs::write(fuzz.join("CACHEDIR.TAG"), tag).unwrap();
        fs::write(target.join(".rustc_info.json"), "{}").unwrap();
        let (of_a_build, of_none) = (target_dir(&out).to_owned(), target_dir(&cache).to_owned());
        fs::remove_dir_all(&cache).unwrap();
        assert_eq!(of_a_build, target);
        assert_eq!(of_none, cache);
    }

    #[test]
    fn each_set_of_features_has_its_own_directory() {
        let target = Path::new("/target");
        assert_eq!(own_target_dir(target, &[]), PathBuf::from("/target/bpf"));
        assert_eq!(
            own_target_dir(target, &["debug-log"]),
            PathBuf::from("/target/bpf-debug-log")
        );
    }

    #[test]
    fn flags_are_separated_as_cargo_expects() {
        let flags = rustflags();
        let flags: Vec<&str> = flags.split('\x1f').collect();
        assert!(
            flags[0].starts_with("--cfg=bpf_target_arch=\""),
            "{flags:?}"
        );
        assert_eq!(flags[1..], *super::RUSTFLAGS);
    }
}
