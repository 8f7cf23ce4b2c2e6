//! A guest's root: detector and the checks as this machine runs them, with their shared libraries, and a few programs.
//!
//! It is an archive that the kernel unpacks into memory. Two archives one behind the other are one: the first is the same
//! for every kernel, the second is that kernel's module. They are not compressed, since an emulated processor unpacks
//! slowly.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use xtask::program;

use crate::workspace;

/// What is built here.
const OWN: [&str; 2] = ["detector", "guest"];
/// What comes from this machine.
const PROGRAMS: [&str; 4] = ["busybox", "ip", "setpriv", "tc"];
/// The first process.
const INIT: &str = include_str!("init.sh");

/// The part that all guests have in common.
pub(super) struct Root {
    directory: PathBuf,
    archive: Vec<u8>,
}

impl Root {
    /// Builds it below `directory`.
    pub(super) fn build(directory: &Path) -> Result<Self> {
        let root = directory.join("root");
        // What the last run has left.
        let _ = fs::remove_dir_all(&root);
        for name in ["bin", "dev", "proc", "run", "sys", "tmp"] {
            make(&root.join(name))?;
        }
        let mut libraries = BTreeSet::new();
        for name in OWN {
            let built = workspace::binaries("release")?.join(name);
            libraries.extend(libraries_of(&built)?);
            strip(&built, &root.join("bin").join(name))?;
        }
        for name in PROGRAMS {
            let found = program::find(name).with_context(|| format!("no program {name}"))?;
            libraries.extend(libraries_of(&found)?);
            fs::copy(&found, root.join("bin").join(name))?;
        }
        for library in libraries {
            let inside = root.join(library.strip_prefix("/")?);
            make(inside.parent().unwrap_or(&root))?;
            let copied = fs::copy(&library, &inside);
            copied.with_context(|| format!("cannot copy {}", library.display()))?;
        }
        let init = root.join("init");
        fs::write(&init, INIT)?;
        fs::set_permissions(&init, fs::Permissions::from_mode(0o755))?;
        Ok(Self {
            archive: pack(&root)?,
            directory: directory.to_owned(),
        })
    }

    /// Writes the archive of a guest with this module, and says where.
    pub(super) fn with_module(&self, module: &Path, series: &str) -> Result<PathBuf> {
        let root = self.directory.join("module");
        make(&root)?;
        let name = module.file_name().context("a module without a name")?;
        fs::copy(module, root.join(name))?;
        let mut archive = self.archive.clone();
        archive.extend(pack(&root)?);
        let path = self.directory.join(format!("{series}.cpio"));
        fs::write(&path, archive)?;
        Ok(path)
    }
}

/// Makes a directory that everybody may look into, whatever the umask.
fn make(directory: &Path) -> Result<()> {
    fs::create_dir_all(directory)
        .and_then(|()| fs::set_permissions(directory, fs::Permissions::from_mode(0o755)))
        .with_context(|| format!("cannot make {}", directory.display()))
}

/// Copies a program without what debuggers need, which is most of it.
fn strip(program: &Path, to: &Path) -> Result<()> {
    let status = Command::new("strip")
        .arg("-o")
        .arg(to)
        .arg(program)
        .status();
    let status = status.context("cannot run strip, which comes with the C compiler")?;
    ensure!(status.success(), "strip {}: {status}", program.display());
    Ok(())
}

/// The shared libraries of a program, the dynamic linker among them.
fn libraries_of(program: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("ldd").arg(program).output();
    let output = output.context("cannot run ldd, which comes with the C library")?;
    let said = String::from_utf8_lossy(&output.stdout);
    if said.contains("not found") {
        bail!("a library of {} is missing: {said}", program.display());
    }
    // A static program has none, and ldd then fails.
    Ok(said.lines().filter_map(library).collect())
}

/// The path in a line of ldd: `libc.so.6 => /lib/libc.so.6 (0x…)` or `/lib64/ld-linux.so.2 (0x…)`.
fn library(line: &str) -> Option<PathBuf> {
    let path = line.split(" => ").last()?.split_whitespace().next()?;
    path.starts_with('/').then(|| PathBuf::from(path))
}

/// Packs a directory as the kernel unpacks it.
fn pack(root: &Path) -> Result<Vec<u8>> {
    let mut find = Command::new("find")
        .args([".", "-mindepth", "1"])
        .current_dir(root)
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run find")?;
    let names = find.stdout.take().context("find has no output")?;
    let output = Command::new("cpio")
        .args(["--create", "--format=newc", "--quiet", "--owner=0:0"])
        .current_dir(root)
        .stdin(names)
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cpio")?;
    let found = find.wait()?;
    ensure!(
        found.success() && output.status.success(),
        "cpio cannot pack {}",
        root.display()
    );
    Ok(output.stdout)
}

#[cfg(test)]
mod tests {
    use super::library;
    use std::path::PathBuf;

    #[test]
    fn a_library_is_the_path_that_the_dynamic_linker_names() {
        let path = |line| library(line);
        assert_eq!(
            path("\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x7f00)"),
            Some(PathBuf::from("/lib/x86_64-linux-gnu/libc.so.6"))
        );
        assert_eq!(
            path("\t/lib64/ld-linux-x86-64.so.2 (0x7f00)"),
            Some(PathBuf::from("/lib64/ld-linux-x86-64.so.2"))
        );
        assert_eq!(path("\tlinux-vdso.so.1 (0x7f00)"), None);
        assert_eq!(path("\tnot a dynamic executable"), None);
    }
}
