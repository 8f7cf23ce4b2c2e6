//! Suricata for `cargo xtask bench`, unpacked from Debian's backports and never installed.
//!
//! Debian 12 itself has no Suricata any more. Its package would start a service on the machine's own interface; unpacked,
//! it is a program and its libraries in a directory. Apt works on lists of its own there, and the machine's stay as they are.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use xtask::program;

use crate::{run, workspace};

const SUITE: &str = "bookworm";
const BACKPORTS: &str = "bookworm-backports";

/// Makes `target/suricata/root/usr/bin/suricata`, unless there is a Suricata already.
pub(crate) fn unpack() -> Result<()> {
    let directory = workspace::target_dir()?.join("suricata");
    let root = directory.join("root");
    if program::find("suricata").is_some() || root.join("usr/bin/suricata").is_file() {
        return Ok(());
    }
    eprintln!("bench: fetching Suricata, about ten seconds");
    let apt = Apt::in_directory(&directory)?;
    run::named("apt-get update", apt.command(&["update"]))?;
    let packages = [
        "install",
        "-y",
        "--no-install-recommends",
        "--download-only",
        "-t",
        BACKPORTS,
    ];
    run::named(
        "apt-get install --download-only suricata",
        apt.command(&[&packages[..], &["suricata"]].concat()),
    )?;
    // Unpacked beside its place and moved there whole: what is there is complete.
    let unfinished = directory.join("unfinished");
    let _ = fs::remove_dir_all(&unfinished);
    for entry in fs::read_dir(apt.archives())? {
        let package = entry?.path();
        if package
            .extension()
            .is_some_and(|extension| extension == "deb")
        {
            let mut command = Command::new("dpkg-deb");
            command.arg("-x").arg(&package).arg(&unfinished);
            let status = command.status().context("cannot run dpkg-deb")?;
            ensure!(
                status.success(),
                "dpkg-deb -x {}: {status}",
                package.display()
            );
        }
    }
    ensure!(
        unfinished.join("usr/bin/suricata").is_file(),
        "apt-get has not fetched the package suricata"
    );
    fs::rename(&unfinished, &root).with_context(|| format!("cannot make {}", root.display()))
}

/// Apt with sources, lists and archives of its own.
struct Apt {
    directory: PathBuf,
}

impl Apt {
    fn in_directory(directory: &Path) -> Result<Self> {
        for name in ["sources", "lists/partial", "archives/partial"] {
            fs::create_dir_all(directory.join(name))?;
        }
        let origin = origin()?;
        let sources = format!("deb {origin} {SUITE} main\ndeb {origin} {BACKPORTS} main\n");
        fs::write(directory.join("sources/backports.list"), sources)?;
        Ok(Self {
            directory: directory.to_owned(),
        })
    }

    fn archives(&self) -> PathBuf {
        self.directory.join("archives")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let path = |name: &str| self.directory.join(name).display().to_string();
        let mut command = Command::new("apt-get");
        command
            .arg("-qq")
            .arg("-oDir::Etc::SourceList=/dev/null")
            .arg(format!("-oDir::Etc::SourceParts={}", path("sources")))
            .arg(format!("-oDir::State::Lists={}", path("lists")))
            .arg(format!("-oDir::Cache::Archives={}", path("archives")))
            .args(["-oDir::Cache::pkgcache=", "-oDir::Cache::srcpkgcache="])
            .args(arguments)
            .stdout(Stdio::null());
        command
    }
}

/// Where this machine has its packages from: backports are there too.
fn origin() -> Result<String> {
    let Some(apt) = program::find("apt-get") else {
        bail!("there is no apt-get");
    };
    let targets = program::output_of(
        &apt,
        &[
            "indextargets",
            "--format",
            "$(CODENAME) $(REPO_URI)",
            "Created-By: Packages",
        ],
    );
    let targets = targets.context("apt-get does not say where packages come from")?;
    targets
        .lines()
        .find_map(|line| line.strip_prefix(SUITE)?.strip_prefix(' '))
        .map(str::to_owned)
        .with_context(|| format!("no package source has {SUITE}: this is for Debian 12"))
}
