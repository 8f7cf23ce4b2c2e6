//! Kernels that were fetched before: of each its image and the one module that guests insert.
//!
//! They are kept in the user's cache, beside bpf-linker, so that every clone finds them and `cargo clean` does not cost
//! two hundred megabytes of the mirror's. Each suite has an archive of its own: one that is gone costs only its kernels.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use xtask::cache;

use super::lock::{Kernel, kind};
use crate::archive::{self, Archive, Package};

/// The module for pairs of virtual interfaces. It needs no other.
const MODULE: &str = "veth.ko";

/// The kernels that are there.
pub(super) struct Cache {
    directory: PathBuf,
}

/// A kernel that can be booted.
#[derive(Clone, Debug)]
pub(super) struct Image {
    /// Its exact version, as Debian names it.
    pub(super) version: String,
    /// The kernel.
    pub(super) kernel: PathBuf,
    /// The module, not compressed.
    pub(super) module: PathBuf,
    /// Where it is not the pinned kernel but another of its series: why.
    pub(super) substitute: Option<String>,
}

impl Cache {
    pub(super) fn open() -> Result<Self> {
        let cache = cache::directory();
        let cache = cache.context("there is no home directory to keep kernels in: set HOME")?;
        Ok(Self {
            directory: cache.join("kernels"),
        })
    }

    /// The image of a kernel, fetched where it is not there: the pinned one, or where the archive has that no more, the
    /// newest of the series. Where the archive cannot be reached, it is the newest of the series that is kept.
    pub(super) fn image(&self, kernel: &Kernel) -> Result<Image> {
        let pinned = first(&kernel.packages)?;
        if let Some(image) = self.kept(pinned) {
            return Ok(image);
        }
        let suite = &*kernel.suite;
        let archive = match Archive::open(&self.directory.join("apt").join(suite), &[suite]) {
            Ok(archive) => archive,
            Err(error) => {
                let why = format!("which is not here and cannot be fetched: {error:#}");
                let newest = self
                    .newest_kept(kernel)?
                    .map(|kept| kept.instead_of(pinned, &why));
                return newest.ok_or(error);
            }
        };
        // Another run may have fetched it while this one waited for the archive.
        if let Some(image) = self.kept(pinned) {
            return Ok(image);
        }
        if has_all(&archive, &kernel.packages)? {
            return self.fetch(&kernel.packages, &archive);
        }
        let newest = newest(kernel, &archive)?;
        let image = match self.kept(first(&newest)?) {
            Some(image) => image,
            None => self.fetch(&newest, &archive)?,
        };
        Ok(image.instead_of(
            pinned,
            "which the archive has no more: pin it in xtask/kernels.toml",
        ))
    }

    /// The image of the kernel whose first package this is.
    fn kept(&self, package: &Package) -> Option<Image> {
        image_in(&self.place(package), &package.version)
    }

    fn newest_kept(&self, kernel: &Kernel) -> Result<Option<Image>> {
        let kind = kind(first(&kernel.packages)?, &kernel.series)?;
        let prefix = format!("{kind}-{}.", kernel.series);
        let mut newest: Option<Image> = None;
        let places = fs::read_dir(&self.directory)
            .with_context(|| format!("cannot read {}", self.directory.display()))?;
        for place in places {
            let place = place?.path();
            let name = place.file_name().unwrap_or_default().to_string_lossy();
            if !name.starts_with(&prefix) {
                continue;
            }
            let version = name.split_once('_').map(|(_, version)| version);
            let Some(image) = version.and_then(|version| image_in(&place, version)) else {
                continue;
            };
            match &newest {
                Some(newest) if !archive::is_newer(&image.version, &newest.version)? => {}
                _ => newest = Some(image),
            }
        }
        Ok(newest)
    }

    fn place(&self, package: &Package) -> PathBuf {
        let Package { name, version, .. } = package;
        self.directory.join(format!("{name}_{version}"))
    }

    /// Fetches packages and keeps what is needed of them, all or nothing.
    fn fetch(&self, packages: &[Package], archive: &Archive) -> Result<Image> {
        let package = first(packages)?;
        let place = self.place(package);
        // The archive, of the kernel's own suite, is this run's alone, and so is this.
        let work = archive.directory().join("unfinished");
        // What an earlier run that was stopped has left.
        let _ = fs::remove_dir_all(&work);
        let (unpacked, kept) = (work.join("unpacked"), work.join("kept"));
        fs::create_dir_all(&unpacked)?;
        fs::create_dir_all(&kept)?;
        for package in packages {
            archive::unpack(&archive.download(package, &work)?, &unpacked)?;
        }
        fs::copy(find(&unpacked, "vmlinuz")?, kept.join("vmlinuz"))?;
        let module = find(&unpacked, MODULE)?;
        fs::write(kept.join(MODULE), decompressed(&module)?)?;
        let _ = fs::remove_dir_all(&place);
        fs::rename(&kept, &place)?;
        fs::remove_dir_all(&work)?;
        let image = self.kept(package);
        image.with_context(|| format!("{} is not complete", place.display()))
    }
}

impl Image {
    fn instead_of(mut self, pinned: &Package, why: &str) -> Self {
        self.substitute = Some(format!("taken instead of {}, {why}", pinned.version));
        self
    }
}

/// The package that a kernel is named after.
fn first(packages: &[Package]) -> Result<&Package> {
    packages.first().context("a kernel without a package")
}

fn has_all(archive: &Archive, packages: &[Package]) -> Result<bool> {
    for package in packages {
        if archive
            .find(&package.name, Some(&package.version))?
            .is_none()
        {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The newest packages of a kernel's series, of the flavour for virtual machines.
fn newest(kernel: &Kernel, archive: &Archive) -> Result<Vec<Package>> {
    let Kernel {
        series,
        suite,
        packages,
    } = kernel;
    let escaped = series.replace('.', r"\.");
    let newest = packages.iter().map(|package| {
        let kind = kind(package, series)?;
        let mut newest: Option<Package> = None;
        for name in archive.search(&format!(r"^{kind}-{escaped}\..*-cloud-amd64$"))? {
            let Some(package) = archive.find(&name, None)? else {
                continue;
            };
            match &newest {
                Some(newest) if !archive::is_newer(&package.version, &newest.version)? => {}
                _ => newest = Some(package),
            }
        }
        newest.with_context(|| {
            format!("{suite} has no {kind} of series {series} any more: pin another suite in xtask/kernels.toml")
        })
    });
    newest.collect()
}

/// The image in a directory, if it is complete.
fn image_in(directory: &Path, version: &str) -> Option<Image> {
    let image = Image {
        version: version.to_owned(),
        kernel: directory.join("vmlinuz"),
        module: directory.join(MODULE),
        substitute: None,
    };
    (image.kernel.is_file() && image.module.is_file()).then_some(image)
}

/// The first file below `directory` whose name begins with `name`.
fn find(directory: &Path, name: &str) -> Result<PathBuf> {
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                directories.push(entry.path());
            } else if kind.is_file() && entry.file_name().to_string_lossy().starts_with(name) {
                return Ok(entry.path());
            }
        }
    }
    anyhow::bail!("the kernel's packages have no {name}")
}

/// A module as the kernel takes it.
fn decompressed(module: &Path) -> Result<Vec<u8>> {
    if module.extension().is_none_or(|extension| extension != "xz") {
        return Ok(fs::read(module)?);
    }
    let output = Command::new("xz")
        .args(["--decompress", "--stdout"])
        .arg(module)
        .output()
        .context("cannot run xz")?;
    ensure!(
        output.status.success(),
        "xz does not read {}",
        module.display()
    );
    Ok(output.stdout)
}

#[cfg(test)]
mod tests {
    use super::{Cache, Kernel, MODULE, Package};
    use std::{env, fs, process};

    fn package(name: &str, version: &str) -> Package {
        Package {
            name: name.to_owned(),
            version: version.to_owned(),
            sha256: String::new(),
        }
    }

    #[test]
    fn without_the_archive_the_newest_complete_kernel_of_the_series_is_taken() {
        let cache = Cache {
            directory: env::temp_dir().join(format!("detector-kernels-{}", process::id())),
        };
        let keep = |name: &str, version: &str, files: &[&str]| {
            let place = cache.place(&package(name, version));
            fs::create_dir_all(&place).unwrap();
            for file in files {
                fs::write(place.join(file), "").unwrap();
            }
        };
        keep(
            "linux-image-6.1.0-9-cloud-amd64",
            "6.1.90-1",
            &["vmlinuz", MODULE],
        );
        keep(
            "linux-image-6.1.0-10-cloud-amd64",
            "6.1.100-1",
            &["vmlinuz", MODULE],
        );
        keep(
            "linux-image-6.1.0-11-cloud-amd64",
            "6.1.110-1",
            &["vmlinuz"],
        );
        keep(
            "linux-image-6.12.1-cloud-amd64",
            "6.12.1-1",
            &["vmlinuz", MODULE],
        );
        let of_series = |series: &str| Kernel {
            series: series.to_owned(),
            suite: String::new(),
            packages: vec![package(
                &format!("linux-image-{series}.0-12-cloud-amd64"),
                "",
            )],
        };
        let newest = cache.newest_kept(&of_series("6.1")).unwrap();
        let none = cache.newest_kept(&of_series("5.10")).unwrap();
        fs::remove_dir_all(&cache.directory).unwrap();
        assert_eq!(
            newest.map(|image| image.version).as_deref(),
            Some("6.1.100-1")
        );
        assert!(none.is_none());
    }
}
