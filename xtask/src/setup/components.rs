//! The components of rustup's toolchains that linting uses: rustfmt and clippy.
//!
//! rustup's default profile has both. Where one is missing it is added to the toolchain that is there, whose version does
//! not change.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};
use xtask::program;

use crate::run;

/// A component and the subcommand of cargo that it brings.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Component {
    /// What it is needed for.
    pub(crate) what: &'static str,
    /// Its name to rustup.
    pub(crate) name: &'static str,
    subcommand: &'static str,
    /// The toolchain it belongs to; none is the one in use.
    toolchain: Option<&'static str>,
}

/// The clippy for the kernel program where rustup's nightly compiles that.
pub(crate) const NIGHTLY_CLIPPY: Component = Component {
    what: "clippy for BPF",
    name: "clippy",
    subcommand: "clippy",
    toolchain: Some("nightly"),
};

/// The clippy for the host's code.
pub(crate) const CLIPPY: Component = Component {
    what: "clippy for the host",
    name: "clippy",
    subcommand: "clippy",
    toolchain: None,
};

/// The formatter.
pub(crate) const RUSTFMT: Component = Component {
    what: "formatter",
    name: "rustfmt",
    subcommand: "fmt",
    toolchain: None,
};

impl Component {
    /// Gives the version of the component in use, by running it: rustup puts a program of its name in place either way.
    pub(crate) fn version(&self) -> Option<String> {
        program::output_of(&program::cargo(), &[self.subcommand, "--version"])
    }
}

/// Adds a component to its toolchain.
pub(crate) fn add(component: &Component) -> Result<()> {
    let mut arguments = vec!["component", "add", component.name];
    if let Some(toolchain) = component.toolchain {
        arguments.extend(["--toolchain", toolchain]);
    }
    let by_hand = arguments.join(" ");
    let Some(rustup) = program::find("rustup") else {
        bail!(
            "there is no rustup to add {} with: install it from where your Rust is from, then run `cargo xtask setup` again",
            component.name
        );
    };
    let mut command = Command::new(Path::new(&rustup));
    command.args(arguments);
    if run::status(command).is_err() {
        bail!(
            "run `rustup {by_hand}` where the Rust distribution server can be reached, then `cargo xtask setup` again"
        );
    }
    Ok(())
}
