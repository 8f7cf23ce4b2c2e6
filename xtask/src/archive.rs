//! Debian's archive, suites beside the machine's own among them, asked by an apt with lists of its own: the machine's lists
//! stay as they are.
//!
//! Apt checks the archive's signatures with Debian's keyring, and the packages by the hashes that are signed. The mirror is
//! the machine's own, read from its package sources.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

use serde::Deserialize;

use crate::run;

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

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
}

impl Archive {
    /// Fetches the lists of these suites; everything is kept below `directory`.
    pub(crate) fn open(directory: &Path, suites: &[&str]) -> Result<Self> {
        for part in ["state/lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(directory.join(part))?;
        }
        let mirrors = Mirrors::of_this_machine()?;
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
        };
        run::status(archive.apt("apt-get", &["-qq", "update"])).context(
            "apt cannot read Debian's archive (its messages are above): a key that is missing comes with the newest \
             debian-archive-keyring",
        )?;
        Ok(archive)
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

    /// The newest package of a kind and series, of the flavour for virtual machines.
    pub(crate) fn newest(&self, kind: &str, series: &str) -> Result<Package> {
        let series = series.replace('.', r"\.");
        let pattern = format!(r"^{kind}-{series}\..*-cloud-amd64$");
        let found = self.ask(&["search", "--names-only", &pattern])?;
        let mut newest: Option<Package> = None;
        for name in found.lines().filter_map(|line| line.split(' ').next()) {
            let Some(package) = self.find(name, None)? else {
                continue;
            };
            match &newest {
                Some(newest) if !is_newer(&package.version, &newest.version)? => {}
                _ => newest = Some(package),
            }
        }
        newest.with_context(|| format!("the archive has no {kind} of series {series}"))
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

/// Lists of a suite that is no longer kept up expire; what is taken from them is pinned by its hash.
fn configuration(directory: &Path) -> String {
    let directory = directory.display();
    format!(
        "Dir::Etc::sourcelist \"{directory}/sources.list\";\n\
         Dir::Etc::sourceparts \"/dev/null\";\n\
         Dir::State \"{directory}/state\";\n\
         Dir::State::status \"{directory}/status\";\n\
         Dir::Cache \"{directory}/cache\";\n\
         APT::Sandbox::User \"root\";\n\
         APT::Architecture \"amd64\";\n\
         Acquire::Languages \"none\";\n\
         Acquire::Check-Valid-Until \"false\";\n\
         Acquire::IndexTargets::deb::DEP-11::DefaultEnabled \"false\";\n"
    )
}

fn is_newer(version: &str, than: &str) -> Result<bool> {
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
    fn of_this_machine() -> Result<Self> {
        let output = Command::new("apt-get")
            .args(["indextargets", "--format", "$(ORIGIN) $(RELEASE) $(SITE)"])
            .arg("Created-By: Packages")
            .output()
            .context("cannot run apt-get: the kernels are Debian's, and apt fetches them")?;
        Ok(Self::read(&String::from_utf8_lossy(&output.stdout)))
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
