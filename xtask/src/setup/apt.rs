//! Debian's packages: what apt knows, and installing them.
//!
//! Only root installs; anyone else is given the exact command. Nothing is ever removed: rustc-web conflicts with Debian's
//! rustc and rustup packages, and a user who has those keeps them.

use std::fs;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use xtask::rustc::{OLDEST, is_at_least};
use xtask::{cache, program};

use super::machine;
use crate::archive::Archive;
use crate::run;

const INSTALL: &[&str] = &["install", "-y", "--no-install-recommends", "--no-remove"];

const OTHER_WAY: &str = "install rustup's nightly with rust-src \
    (`rustup toolchain install nightly --component rust-src`) and a bpf-linker built with the LLVM that \
    `rustc +nightly -vV` names";

/// Apt, and whether its lists have been fetched by this run.
#[derive(Default)]
pub(crate) struct Apt {
    updated: bool,
}

impl Apt {
    /// Installs packages.
    pub(crate) fn install(&mut self, packages: &[&str]) -> Result<()> {
        let names = packages.join(" ");
        let distribution = machine::distribution();
        if program::find("apt-get").is_none() {
            bail!(
                "{distribution} has no apt-get: install what Debian 12 calls {names}; {OTHER_WAY}"
            );
        }
        if !machine::is_root() {
            // Without lists, as in the image of a container, apt knows no package, and only root fetches them.
            if !machine::is_debian_12() && has_lists() {
                check_candidates(packages)?;
            }
            let install = INSTALL.join(" ");
            bail!(
                "not root: have root run the next line, then run `cargo xtask setup` again\n\
                 apt-get update && DEBIAN_FRONTEND=noninteractive apt-get {install} {names}"
            );
        }
        self.update()?;
        check_candidates(packages)?;
        self.install_checked(packages)
    }

    /// Installs packages of the release's backports, whether or not the machine has them among its sources.
    pub(crate) fn install_backports(&mut self, packages: &[&str]) -> Result<()> {
        let suite = machine::backports()?;
        let names = packages.join(" ");
        if !machine::is_root() {
            bail!(
                "not root: have root install {names} from {suite}, then run `cargo xtask setup` again"
            );
        }
        let cache = cache::directory();
        let cache = cache.context("there is no home directory to fetch packages to: set HOME")?;
        let archive = Archive::open(&cache.join("backports"), &[&suite])?;
        let files = cache.join("backports/files");
        // What an earlier run has left may be of other versions.
        let _ = fs::remove_dir_all(&files);
        fs::create_dir_all(&files)?;
        let mut paths = Vec::new();
        for name in packages {
            let package = archive.find(name, None)?;
            let package = package.with_context(|| format!("{suite} has no {name}"))?;
            let path = archive.download(&package, &files)?;
            paths.push(path.display().to_string());
        }
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        self.install_checked(&paths)?;
        fs::remove_dir_all(&files)?;
        Ok(())
    }

    fn update(&mut self) -> Result<()> {
        if !self.updated {
            run::status(apt_get(&["update"]))?;
            self.updated = true;
        }
        Ok(())
    }

    fn install_checked(&mut self, packages: &[&str]) -> Result<()> {
        let names = packages.join(" ");
        self.update()?;
        if run::status(apt_get(&[INSTALL, packages].concat())).is_err() {
            bail!(
                "apt-get has not installed {names} (its messages are above): check the network and the disk; if it would \
                 have to remove Debian's own rustc or rustup package, remove that yourself"
            );
        }
        Ok(())
    }
}

/// Says whether a package is installed, and from its release's backports.
pub(crate) fn is_from_backports(package: &str) -> bool {
    let version = query("dpkg-query", &["-W", "-f=${Version}", package]);
    version.contains("~bpo")
}

/// Gives those of the packages that are not installed.
pub(crate) fn not_installed(mut packages: Vec<String>) -> Vec<String> {
    packages.retain(|package| {
        let status = query("dpkg-query", &["-W", "-f=${db:Status-Status} ", package]);
        !status
            .split_whitespace()
            .any(|status| status == "installed")
    });
    packages
}

/// Says whether apt has fetched any list of packages.
fn has_lists() -> bool {
    let arguments = ["indextargets", "--format", "$(FILENAME)"];
    !query("apt-get", &arguments).is_empty()
}

/// Refuses packages that apt does not have, or has too old, before it has fetched anything.
fn check_candidates(packages: &[&str]) -> Result<()> {
    let policy = query("apt-cache", &[&["policy"], packages].concat());
    for package in packages {
        let found = match candidate(&policy, package) {
            None => format!("no package {package}"),
            Some(version) if *package == "rustc-web" && !is_at_least(version, OLDEST) => {
                format!("{package} {version}, and {OLDEST} is needed")
            }
            Some(_) => continue,
        };
        let distribution = machine::distribution();
        let cure = if machine::is_debian_12() {
            "turn on the main and the security package source"
        } else {
            OTHER_WAY
        };
        bail!("{distribution} has {found}: {cure}");
    }
    Ok(())
}

fn apt_get(arguments: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    command
        .arg("-qq")
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        // Its progress, several hundred lines; what goes wrong comes on standard error.
        .stdout(Stdio::null());
    command
}

/// Gives what a package tool prints, in the one language whose words are known here.
fn query(name: &str, arguments: &[&str]) -> String {
    let output = Command::new(name)
        .args(arguments)
        .env("LC_ALL", "C")
        .stderr(Stdio::null())
        .output();
    output.map_or_else(
        |_| String::new(),
        |output| String::from_utf8_lossy(&output.stdout).into_owned(),
    )
}

fn candidate<'a>(policy: &'a str, package: &str) -> Option<&'a str> {
    let (_, after) = policy.split_once(&format!("{package}:\n"))?;
    let version = after
        .lines()
        .find_map(|line| line.trim().strip_prefix("Candidate: "))?;
    (version != "(none)").then_some(version)
}

#[cfg(test)]
mod tests {
    use super::candidate;

    const POLICY: &str = "rustc-web:\n  Installed: (none)\n  Candidate: 1.96.0+dfsg1-1~deb12u2\n  Version table:\n     \
        1.96.0+dfsg1-1~deb12u2 500\nmawk:\n  Installed: (none)\n  Candidate: (none)\n  Version table:\n";

    #[test]
    fn apt_tells_the_version_it_would_install() {
        assert_eq!(
            candidate(POLICY, "rustc-web"),
            Some("1.96.0+dfsg1-1~deb12u2")
        );
    }

    #[test]
    fn a_package_apt_cannot_install_has_no_candidate() {
        assert_eq!(candidate(POLICY, "mawk"), None);
        assert_eq!(candidate(POLICY, "gcc"), None);
    }
}
