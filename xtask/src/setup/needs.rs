//! What a command needs of the machine: how each need is checked, and what cures its absence.
//!
//! A C compiler is no entry: without one cargo could not have built this program. Packages are named only where something
//! does not work, not because they are not installed.

use std::fmt;
use std::path::Path;

use xtask::program;
use xtask::rustc::{Compiler, DEBIAN_RUSTC, Way};
use xtask::toolchain::{self, Toolchain};

use super::{Scope, apt, cargo_fuzz, components};

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
    Component(components::Component),
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

/// The programs that commands run: for which of them, what for, and the package each is in.
const PROGRAMS: &[(Scope, &str, &str, &str)] = &[
    (Scope::Run, "network namespaces", "ip", "iproute2"),
    (Scope::Run, "entering namespaces", "nsenter", "util-linux"),
    (Scope::All, "the other parser", "tshark", "tshark"),
    (Scope::All, "compiler for libFuzzer", "c++", "g++"),
    (
        Scope::All,
        "their first programs",
        "busybox",
        "busybox-static",
    ),
    (Scope::All, "their first filesystem", "cpio", "cpio"),
    (Scope::All, "compressed kernel modules", "xz", "xz-utils"),
    (Scope::All, "interface options", "ethtool", "ethtool"),
    (Scope::All, "peer: iptables", "iptables", "iptables"),
    (Scope::All, "peer: nftables", "nft", "nftables"),
    (Scope::All, "peer: xdp-filter", "xdp-filter", "xdp-tools"),
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
        for &(needed, what, name, package) in PROGRAMS {
            if scope < needed {
                continue;
            }
            match program::find(name) {
                Some(path) => survey.found.push((what, path.display().to_string())),
                None => survey.lacks(what, format!("no program {name}"), packages(&[package])),
            }
        }
        if scope >= Scope::All {
            match cargo_fuzz::find() {
                Some(path) => survey.found.push((FUZZER, path.display().to_string())),
                None => survey.lacks(FUZZER, "no cargo-fuzz".to_owned(), Cure::CargoFuzz),
            }
            survey.emulator();
            for component in components::of_the_host() {
                match component.version() {
                    Some(version) => survey.found.push((component.what, version)),
                    None => survey.lacks(
                        component.what,
                        format!("no component {}", component.name),
                        Cure::Component(component),
                    ),
                }
            }
        }
        survey
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
        if scope >= Scope::All
            && !Path::new(DEBIAN_RUSTC)
                .with_file_name("clippy-driver")
                .is_file()
        {
            self.lacks(LINTER, "none".to_owned(), packages(&["rust-web-clippy"]));
        }
    }

    fn linter(&mut self, scope: Scope, compiler: &Compiler) {
        if scope < Scope::All {
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
