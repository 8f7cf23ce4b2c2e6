//! What a command needs of the machine: how each need is checked, and what cures its absence.
//!
//! Each need names the commands that have it, so that nobody is made to install what the command at hand does not use. A C
//! compiler is no entry: without one cargo could not have built this program. Packages are named only where something does
//! not work, not because they are not installed.

use std::fmt;
use std::path::Path;

use xtask::program;
use xtask::rustc::{Compiler, DEBIAN_RUSTC, Way};
use xtask::toolchain::{self, Toolchain};

use super::components::{self, Component};
use super::{Scope, apt, cargo_fuzz};

/// What is there and what is not.
pub(crate) struct Survey {
    /// What is needed, and which one was found.
    pub(crate) found: Vec<(&'static str, String)>,
    /// What is needed and is not there.
    pub(crate) missing: Vec<Missing>,
    /// The toolchain, where one was found.
    pub(crate) toolchain: Option<Toolchain>,
}

/// One thing that is not there.
#[derive(PartialEq, Eq)]
pub(crate) struct Missing {
    what: &'static str,
    why: String,
    /// What to do about it.
    pub(crate) cure: Cure,
}

/// What brings a missing thing.
#[derive(PartialEq, Eq)]
pub(crate) enum Cure {
    /// Debian packages.
    Packages(Vec<String>),
    /// Debian packages of the release's backports, where the release's own do not fit what is installed.
    Backports(&'static [&'static str]),
    /// A bpf-linker built with this LLVM, whose development files are installed.
    Linker(u32),
    /// A cargo-fuzz.
    CargoFuzz,
    /// A component of a rustup toolchain.
    Component(Component),
}

const COMPILER: &str = "compiler for BPF";
const LINKER: &str = "linker for BPF";
const LINTER: &str = "clippy for BPF";
const FUZZER: &str = "fuzzer";

const MACHINES: &str = "virtual machines";
const EMULATOR: &str = "qemu-system-x86_64";
const EMULATOR_PACKAGES: &[&str] = &[
    "qemu-system-x86",
    "qemu-system-common",
    "qemu-system-data",
    "seabios",
];

/// The programs that commands run: which of them, what for, and the package each is in.
const PROGRAMS: &[(&[Scope], &str, &str, &str)] = &[
    (
        &[Scope::Demo, Scope::Test, Scope::Bench, Scope::Kernels],
        "network namespaces",
        "ip",
        "iproute2",
    ),
    (&[Scope::Test], "the other parser", "tshark", "tshark"),
    (&[Scope::Fuzz], "compiler for libFuzzer", "c++", "g++"),
    (
        &[Scope::Kernels],
        "their first programs",
        "busybox",
        "busybox-static",
    ),
    (&[Scope::Kernels], "their first filesystem", "cpio", "cpio"),
    (
        &[Scope::Kernels],
        "compressed kernel modules",
        "xz",
        "xz-utils",
    ),
    (&[Scope::Bench], "interface options", "ethtool", "ethtool"),
    (&[Scope::Bench], "peer: iptables", "iptables", "iptables"),
    (&[Scope::Bench], "peer: nftables", "nft", "nftables"),
    (
        &[Scope::Bench],
        "peer: xdp-filter",
        "xdp-filter",
        "xdp-tools",
    ),
];

impl Survey {
    /// Looks at the machine.
    pub(crate) fn take(scope: Scope) -> Self {
        let mut survey = Self {
            found: Vec::new(),
            missing: Vec::new(),
            toolchain: None,
        };
        match toolchain::find() {
            Ok(toolchain) => survey.complete(scope, toolchain),
            Err(toolchain::Missing::Linker(compiler)) => survey.linker_missing(scope, &compiler),
            Err(missing @ toolchain::Missing::Compiler { .. }) => {
                survey.compiler_missing(scope, &missing);
            }
        }
        for (what, name, package) in programs(scope) {
            match program::find(name) {
                Some(path) => survey.found.push((what, path.display().to_string())),
                None => survey.lacks(what, format!("no program {name}"), packages(&[package])),
            }
        }
        if scope.is_among(&[Scope::Fuzz]) {
            match cargo_fuzz::find() {
                Some(path) => survey.found.push((FUZZER, path.display().to_string())),
                None => survey.lacks(FUZZER, "no cargo-fuzz".to_owned(), Cure::CargoFuzz),
            }
        }
        if scope.is_among(&[Scope::Kernels]) {
            survey.emulator();
        }
        if scope.is_among(&[Scope::Clippy]) {
            survey.component(components::CLIPPY);
        }
        if scope.is_among(&[]) {
            survey.component(components::RUSTFMT);
        }
        survey
    }

    fn component(&mut self, component: Component) {
        match component.version() {
            Some(version) => self.found.push((component.what, version)),
            None => self.lacks(
                component.what,
                format!("no component {}", component.name),
                Cure::Component(component),
            ),
        }
    }

    /// QEMU's packages must be of one version: where one of them is from the backports, so must be the others.
    fn emulator(&mut self) {
        if let Some(path) = program::find(EMULATOR) {
            self.found.push((MACHINES, path.display().to_string()));
            return;
        }
        let cure = if apt::is_from_backports("qemu-utils") {
            Cure::Backports(EMULATOR_PACKAGES)
        } else {
            packages(&["qemu-system-x86"])
        };
        self.lacks(MACHINES, format!("no program {EMULATOR}"), cure);
    }

    fn complete(&mut self, scope: Scope, toolchain: Toolchain) {
        self.found.push((COMPILER, toolchain.compiler.to_string()));
        self.found.push((LINKER, toolchain.linker.to_string()));
        self.linter(scope, &toolchain.compiler);
        self.toolchain = Some(toolchain);
    }

    fn linker_missing(&mut self, scope: Scope, compiler: &Compiler) {
        self.found.push((COMPILER, compiler.to_string()));
        self.linter(scope, compiler);
        let llvm = compiler.version.llvm;
        let needed = apt::not_installed(linker_packages(llvm));
        let cure = if needed.is_empty() {
            Cure::Linker(llvm)
        } else {
            Cure::Packages(needed)
        };
        self.lacks(LINKER, format!("none has LLVM {llvm} or newer"), cure);
    }

    /// Which linker it takes is known once the compiler is there.
    fn compiler_missing(&mut self, scope: Scope, missing: &toolchain::Missing) {
        self.lacks(
            COMPILER,
            missing.what(),
            packages(&["rustc-web", "libstd-rust-web-dev-bpf"]),
        );
        if scope.is_among(&[Scope::Clippy])
            && !Path::new(DEBIAN_RUSTC)
                .with_file_name("clippy-driver")
                .is_file()
        {
            self.lacks(LINTER, "none".to_owned(), packages(&["rust-web-clippy"]));
        }
    }

    fn linter(&mut self, scope: Scope, compiler: &Compiler) {
        if !scope.is_among(&[Scope::Clippy]) {
            return;
        }
        if let Some(driver) = compiler.clippy() {
            self.found.push((LINTER, driver.display().to_string()));
            return;
        }
        let cure = match compiler.way {
            Way::Debian => packages(&["rust-web-clippy"]),
            Way::Nightly => Cure::Component(components::NIGHTLY_CLIPPY),
        };
        self.lacks(LINTER, format!("{compiler} has none"), cure);
    }

    fn lacks(&mut self, what: &'static str, why: String, cure: Cure) {
        self.missing.push(Missing { what, why, cure });
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.why)
    }
}

/// The programs that are run in this scope: what for, and the package each is in.
fn programs(scope: Scope) -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    let needed = PROGRAMS
        .iter()
        .filter(move |(those, ..)| scope.is_among(those));
    needed.map(|&(_, what, name, package)| (what, name, package))
}

fn packages(names: &[&str]) -> Cure {
    Cure::Packages(names.iter().map(|&name| name.to_owned()).collect())
}

/// What bpf-linker is built with: LLVM's libraries, and those that `llvm-config` names beside them.
fn linker_packages(llvm: u32) -> Vec<String> {
    vec![
        format!("llvm-{llvm}-dev"),
        format!("libpolly-{llvm}-dev"),
        "libzstd-dev".to_owned(),
        "zlib1g-dev".to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::{PROGRAMS, Scope, programs};

    fn names(scope: Scope) -> Vec<&'static str> {
        programs(scope).map(|(_, name, _)| name).collect()
    }

    #[test]
    fn a_command_asks_only_for_the_programs_it_runs() {
        assert!(names(Scope::Build).is_empty());
        assert!(names(Scope::Clippy).is_empty());
        assert_eq!(names(Scope::Demo), ["ip"]);
        assert_eq!(names(Scope::Test), ["ip", "tshark"]);
        assert_eq!(names(Scope::Fuzz), ["c++"]);
    }

    #[test]
    fn set_up_asks_for_every_program() {
        assert_eq!(names(Scope::All).len(), PROGRAMS.len());
    }
}
