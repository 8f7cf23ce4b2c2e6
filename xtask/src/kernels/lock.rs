//! Which kernels there are: `xtask/kernels.toml`, each package pinned by version and hash.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use crate::archive::Package;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/kernels.toml");

/// The pinned kernels, oldest first.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Lock {
    #[serde(rename = "kernel")]
    kernels: Vec<Kernel>,
}

/// A kernel of Debian's.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kernel {
    /// The beginning of its version.
    pub(super) series: String,
    /// The suite of Debian's archive that it is in.
    pub(super) suite: String,
    /// What it consists of.
    #[serde(rename = "package")]
    pub(super) packages: Vec<Package>,
}

impl Lock {
    pub(super) fn read() -> Result<Self> {
        let text = fs::read_to_string(Path::new(FILE));
        let text = text.with_context(|| format!("cannot read {FILE}"))?;
        let lock: Self = toml::from_str(&text).with_context(|| format!("{FILE} is not right"))?;
        if lock.kernels.iter().any(|kernel| kernel.packages.is_empty()) {
            bail!("{FILE} has a kernel without a package");
        }
        Ok(lock)
    }

    /// The kernels of these series, or all where none is named.
    pub(super) fn select(self, series: &[String]) -> Result<Vec<Kernel>> {
        let known = |one: &String| self.kernels.iter().any(|kernel| kernel.series == *one);
        if let Some(unknown) = series.iter().find(|one| !known(one)) {
            let all: Vec<_> = self.kernels.iter().map(|one| &*one.series).collect();
            bail!("there is no kernel {unknown}: choose of {}", all.join(", "));
        }
        let mut kernels = self.kernels;
        kernels.retain(|kernel| series.is_empty() || series.contains(&kernel.series));
        Ok(kernels)
    }
}

/// What stands before the version in a package's name: `linux-image` of `linux-image-6.1.0-56-cloud-amd64`.
pub(super) fn kind<'a>(package: &'a Package, series: &str) -> Result<&'a str> {
    let name = &package.name;
    let parts = name.split_once(&format!("-{series}."));
    let (kind, _) =
        parts.with_context(|| format!("{FILE}: package {name} is not of series {series}"))?;
    Ok(kind)
}

#[cfg(test)]
mod tests {
    use super::{Lock, Package, kind};

    #[test]
    fn every_package_of_the_lock_file_is_of_its_series() {
        for kernel in Lock::read().unwrap().select(&[]).unwrap() {
            for package in &kernel.packages {
                let kind = kind(package, &kernel.series).unwrap();
                assert!(kind.starts_with("linux-"), "{package:?}");
                assert_eq!(package.sha256.len(), 64, "{package:?}");
            }
        }
    }

    #[test]
    fn a_series_that_is_not_pinned_is_refused_with_those_that_are() {
        let error = Lock::read().unwrap().select(&["4.19".to_owned()]);
        let error = error.unwrap_err().to_string();
        assert!(error.contains("4.19") && error.contains("5.10"), "{error}");
    }

    #[test]
    fn a_package_of_another_series_has_no_kind() {
        let package = Package {
            name: "linux-image-6.12.1-cloud-amd64".to_owned(),
            version: String::new(),
            sha256: String::new(),
        };
        assert!(kind(&package, "6.1").is_err());
        assert_eq!(kind(&package, "6.12").unwrap(), "linux-image");
    }
}
