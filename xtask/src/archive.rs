//! Debian's archive, suites beside the machine's own among them, asked by an apt with lists of its own: the machine's lists
//! stay as they are.
//!
//! Apt checks the archive's signatures with Debian's keyring, and the packages by the hashes that are signed. The mirror is
//! the machine's own, read from its package sources. Whoever opens an archive has its directory alone until it is dropped:
//! another run that would use the same one waits.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;

use crate::run;

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// What is installed on this machine.
const INSTALLED: &str = "/var/lib/dpkg/status";

/// A package of one version.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Package {
    /// Its name.
    pub(crate) name: String,
    /// Its version.
    pub(crate) version: String,
    /// Of the package's file, in hexadecimal.
    pub(crate) sha256: String,
}

/// An apt of its own.
pub(crate) struct Archive {
    directory: PathBuf,
    /// Kept open: it is unlocked when it is closed.
    _lock: File,
}

impl Archive {
    /// Fetches the lists of these suites; everything is kept below `directory`.
    pub(crate) fn open(directory: &Path, suites: &[&str]) -> Result<Self> {
        for part in ["state/lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(directory.join(part))
                .with_context(|| format!("cannot make {}", directory.display()))?;
        }
        let lock = lock(directory)?;
        let mirrors = Mirrors::of_this_machine(directory)?;
        let sources = suites
            .iter()
            .map(|suite| {
                let mirror = mirrors.of(suite)?;
                Ok(format!("deb [signed-by={KEYRING}] {mirror} {suite} main"))
            })
            .collect::<Result<Vec<_>>>()?;
        fs::write(directory.join("sources.list"), sources.join("\n") + "\n")?;
        fs::write(directory.join("status"), "")?;
        fs::write(directory.join("apt.conf"), configuration(directory))?;
        let archive = Self {
            directory: directory.to_owned(),
            _lock: lock,
        };
        run::status(archive.apt("apt-get", &["-qq", "update"])).with_context(|| {
            format!(
                "apt cannot read {} of Debian's archive (its messages are above): check the network; a key that is \
                 missing comes with the newest debian-archive-keyring",
                suites.join(" and ")
            )
        })?;
        Ok(archive)
    }

    /// The directory that this run has alone.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The package of this name, in this version or in the newest; `None` where there is none.
    pub(crate) fn find(&self, name: &str, version: Option<&str>) -> Result<Option<Package>> {
        let wanted = version.map_or_else(|| name.to_owned(), |version| format!("{name}={version}"));
        let records = self.ask(&["show", "--no-all-versions", &wanted])?;
        let field = |key: &str| {
            let line = records.lines().find_map(|line| line.strip_prefix(key));
            line.map(|value| value.trim().to_owned())
        };
        Ok(field("Version:")
            .zip(field("SHA256:"))
            .map(|(version, sha256)| Package {
                name: name.to_owned(),
                version,
                sha256,
            }))
    }

    /// The names of the packages that an extended regular expression matches.
    pub(crate) fn search(&self, pattern: &str) -> Result<Vec<String>> {
        let found = self.ask(&["search", "--names-only", pattern])?;
        let names = found.lines().filter_map(|line| line.split(' ').next());
        Ok(names.map(str::to_owned).collect())
    }

    /// Fetches a package's file into `directory`, and checks it.
    pub(crate) fn download(&self, package: &Package, directory: &Path) -> Result<PathBuf> {
        let Package {
            name,
            version,
            sha256,
        } = package;
        let mut command = self.apt("apt-get", &["-qq", "download"]);
        command
            .arg(format!("{name}={version}"))
            .current_dir(directory);
        run::status(command)?;
        let file = fs::read_dir(directory)?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| {
                let file = path.file_name().unwrap_or_default().to_string_lossy();
                file.starts_with(&format!("{name}_"))
            });
        let file = file.with_context(|| format!("apt has not fetched {name}"))?;
        let sum = Command::new("sha256sum").arg(&file).output()?;
        let sum = String::from_utf8_lossy(&sum.stdout).into_owned();
        ensure!(
            sum.split_whitespace().next() == Some(sha256),
            "{name} {version} is not the file that was pinned: its SHA-256 is {sum}"
        );
        Ok(file)
    }

    /// Fetches the file of the newest package of this name in a suite, and of those it needs and this machine has not,
    /// into an empty `directory`.
    pub(crate) fn download_with_dependencies(
        &self,
        name: &str,
        suite: &str,
        directory: &Path,
    ) -> Result<Vec<PathBuf>> {
        // What an earlier run has left may be of other versions.
        let _ = fs::remove_dir_all(directory);
        fs::create_dir_all(directory.join("partial"))?;
        let mut command = self.apt("apt-get", &["-qq", "install", "--download-only", "--yes"]);
        command
            .args(["--no-install-recommends", "--target-release", suite, name])
            .arg(format!("-oDir::State::status={INSTALLED}"))
            .arg(format!("-oDir::Cache::archives={}", directory.display()))
            // What it would install, a line for each.
            .stdout(Stdio::null());
        run::named(&format!("fetching {name} of {suite}"), command)?;
        let mut files = Vec::new();
        for entry in fs::read_dir(directory)? {
            let file = entry?.path();
            if file.extension().is_some_and(|extension| extension == "deb") {
                files.push(file);
            }
        }
        Ok(files)
    }

    /// What apt-cache answers; nothing where it knows nothing.
    fn ask(&self, arguments: &[&str]) -> Result<String> {
        let mut command = self.apt("apt-cache", arguments);
        let output = command.stderr(Stdio::null()).output();
        let output = output.context("cannot run apt-cache")?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn apt(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env("APT_CONFIG", self.directory.join("apt.conf"))
            .env("LC_ALL", "C");
        command
    }
}

/// Lists of a suite that is no longer kept up expire; what is taken from them is pinned by its hash. A list that cannot be
/// fetched is an error: apt would say of its packages that there are none.
fn configuration(directory: &Path) -> String {
    let directory = directory.display();
    format!(
        "Dir::Etc::sourcelist \"{directory}/sources.list\";\n\
         Dir::Etc::sourceparts \"/dev/null\";\n\
         Dir::State \"{directory}/state\";\n\
         Dir::State::status \"{directory}/status\";\n\
         Dir::Cache \"{directory}/cache\";\n\
         APT::Sandbox::User \"root\";\n\
         APT::Update::Error-Mode \"any\";\n\
         Acquire::Languages \"none\";\n\
         Acquire::Check-Valid-Until \"false\";\n\
         Acquire::IndexTargets::deb::DEP-11::DefaultEnabled \"false\";\n"
    )
}

/// Waits until no other run uses this directory.
fn lock(directory: &Path) -> Result<File> {
    let path = directory.join("in-use");
    let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => return Ok(file),
        Err(TryLockError::WouldBlock) => eprintln!(
            "archive: waiting for another run that fetches into {}",
            directory.display()
        ),
        // The next attempt says why.
        Err(TryLockError::Error(_)) => {}
    }
    file.lock()
        .with_context(|| format!("cannot lock {}", path.display()))?;
    Ok(file)
}

/// Unpacks a package's file into `directory`, without installing it.
pub(crate) fn unpack(file: &Path, directory: &Path) -> Result<()> {
    let mut command = Command::new("dpkg-deb");
    command.arg("--extract").arg(file).arg(directory);
    run::status(command)
}

/// Compares two versions as Debian does.
pub(crate) fn is_newer(version: &str, than: &str) -> Result<bool> {
    let mut command = Command::new("dpkg");
    command.args(["--compare-versions", version, "gt", than]);
    Ok(command.status().context("cannot run dpkg")?.success())
}

/// Where this machine has Debian from.
#[derive(Debug, Default, PartialEq, Eq)]
struct Mirrors {
    main: Option<String>,
    security: Option<String>,
}

impl Mirrors {
    /// Asks the machine's apt. What it tells of a source is in the lists: where they are not there, as in the image of a
    /// container, they are fetched into `directory`.
    fn of_this_machine(directory: &Path) -> Result<Self> {
        let mirrors = Self::read(&index_targets(&[])?);
        if mirrors != Self::default() {
            return Ok(mirrors);
        }
        let lists = directory.join("machine");
        fs::create_dir_all(lists.join("partial"))?;
        let options = [
            &format!("-oDir::State::Lists={}", lists.display()),
            "-oAPT::Sandbox::User=root",
        ];
        let mut update = Command::new("apt-get");
        update.args(["-qq", "update"]).args(options);
        // One of another vendor may fail: whether Debian's are among the others is seen when they are used.
        let _ = run::named("reading the machine's package sources", update);
        Ok(Self::read(&index_targets(&options)?))
    }

    fn read(targets: &str) -> Self {
        let mut mirrors = Self::default();
        for line in targets.lines() {
            let [origin, release, site] = *line.split(' ').collect::<Vec<_>>() else {
                continue;
            };
            if origin != "Debian" {
                continue;
            }
            let mirror = if release.ends_with("-security") {
                &mut mirrors.security
            } else {
                &mut mirrors.main
            };
            mirror.get_or_insert_with(|| site.to_owned());
        }
        mirrors
    }

    fn of(&self, suite: &str) -> Result<&str> {
        let (which, mirror) = if suite.ends_with("-security") {
            ("security", &self.security)
        } else {
            ("main", &self.main)
        };
        match mirror {
            Some(mirror) => Ok(mirror),
            None => bail!(
                "apt knows no {which} source of Debian's: turn it on, run `apt-get update`, then try again"
            ),
        }
    }
}

/// A line for each list of packages that apt has: whose it is, which release, and from where.
fn index_targets(options: &[&str]) -> Result<String> {
    let output = Command::new("apt-get")
        .args(options)
        .args(["indextargets", "--format", "$(ORIGIN) $(RELEASE) $(SITE)"])
        .arg("Created-By: Packages")
        .output()
        .context("cannot run apt-get, which fetches Debian's packages")?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::Mirrors;

    #[test]
    fn only_debians_own_sources_are_mirrors() {
        let mirrors = Mirrors::read(
            "Docker bookworm https://other.example/debian\n\
             Debian bookworm-security http://mirror.example/debian-security\n\
             Debian bookworm http://mirror.example/debian\n\
             Debian bookworm-updates http://second.example/debian\n",
        );
        assert_eq!(
            mirrors.of("trixie-backports").unwrap(),
            "http://mirror.example/debian"
        );
        assert_eq!(
            mirrors.of("bullseye-security").unwrap(),
            "http://mirror.example/debian-security"
        );
    }

    #[test]
    fn a_machine_without_a_source_is_told_to_turn_it_on() {
        let error = Mirrors::default().of("trixie").unwrap_err().to_string();
        assert!(error.contains("main source"), "{error}");
    }
}
