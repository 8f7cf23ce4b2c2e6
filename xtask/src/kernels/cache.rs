//! Kernels that were fetched before: of each its image and the one module that guests insert.
//!
//! They are kept in the user's cache, beside bpf-linker, so that every clone finds them and `cargo clean` does not cost
//! two hundred megabytes of the mirror's.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use xtask::cache;

use super::lock::{Kernel, kind};
use crate::archive::{Archive, Package};
use crate::run;

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
    /// The pinned version, where the archive has that no more.
    pub(super) instead_of: Option<String>,
}

impl Cache {
    pub(super) fn open() -> Result<Self> {
        let cache = cache::directory();
        let cache = cache.context("there is no home directory to keep kernels in: set HOME")?;
        Ok(Self {
            directory: cache.join("kernels"),
        })
    }

    /// The images of these kernels, fetched where they are not there.
    pub(super) fn images(&self, kernels: &[Kernel]) -> Result<Vec<Image>> {
        let missing: Vec<_> = kernels
            .iter()
            .filter(|kernel| self.cached(&kernel.packages, None).is_none())
            .collect();
        if !missing.is_empty() {
            let mut suites: Vec<_> = missing.iter().map(|kernel| &*kernel.suite).collect();
            suites.sort_unstable();
            suites.dedup();
            let archive = Archive::open(&self.directory.join("apt"), &suites)?;
            return kernels
                .iter()
                .map(|kernel| self.image(kernel, &archive))
                .collect();
        }
        let images = kernels.iter().map(|kernel| {
            let image = self.cached(&kernel.packages, None);
            image.with_context(|| format!("kernel {} has just gone", kernel.series))
        });
        images.collect()
    }

    /// The image of a kernel: the pinned one, or where the archive has that no more, the newest of the series.
    fn image(&self, kernel: &Kernel, archive: &Archive) -> Result<Image> {
        let Kernel {
            series, packages, ..
        } = kernel;
        if let Some(image) = self.cached(packages, None) {
            return Ok(image);
        }
        let mut pinned = true;
        for package in packages {
            let found = archive.find(&package.name, Some(&package.version))?;
            pinned &= found.is_some();
        }
        if pinned {
            return self.fetch(packages, None, archive);
        }
        let newest = packages
            .iter()
            .map(|package| archive.newest(kind(package, series)?, series))
            .collect::<Result<Vec<_>>>()?;
        let pinned = packages.first().map(|package| package.version.clone());
        match self.cached(&newest, pinned.clone()) {
            Some(image) => Ok(image),
            None => self.fetch(&newest, pinned, archive),
        }
    }

    fn cached(&self, packages: &[Package], instead_of: Option<String>) -> Option<Image> {
        let directory = self.place(packages)?;
        let image = Image {
            version: packages.first()?.version.clone(),
            kernel: directory.join("vmlinuz"),
            module: directory.join(MODULE),
            instead_of,
        };
        (image.kernel.is_file() && image.module.is_file()).then_some(image)
    }

    fn place(&self, packages: &[Package]) -> Option<PathBuf> {
        let Package { name, version, .. } = packages.first()?;
        Some(self.directory.join(format!("{name}_{version}")))
    }

    /// Fetches packages and keeps what is needed of them, all or nothing.
    fn fetch(
        &self,
        packages: &[Package],
        instead_of: Option<String>,
        archive: &Archive,
    ) -> Result<Image> {
        let place = self.place(packages).context("a kernel without a package")?;
        let work = place.with_extension("part");
        // What an earlier run that was stopped has left.
        let _ = fs::remove_dir_all(&work);
        let (unpacked, kept) = (work.join("unpacked"), work.join("kept"));
        fs::create_dir_all(&unpacked)?;
        fs::create_dir_all(&kept)?;
        for package in packages {
            let file = archive.download(package, &work)?;
            let mut unpack = Command::new("dpkg-deb");
            unpack.arg("--extract").arg(file).arg(&unpacked);
            run::named(&format!("unpacking {}", package.name), unpack)?;
        }
        fs::copy(find(&unpacked, "vmlinuz")?, kept.join("vmlinuz"))?;
        let module = find(&unpacked, MODULE)?;
        fs::write(kept.join(MODULE), decompressed(&module)?)?;
        let _ = fs::remove_dir_all(&place);
        fs::rename(&kept, &place)?;
        fs::remove_dir_all(&work)?;
        let image = self.cached(packages, instead_of);
        image.with_context(|| format!("{} is not complete", place.display()))
    }
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
