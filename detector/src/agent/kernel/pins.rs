//! The directory on a bpf filesystem where the maps are pinned while an agent runs.
//!
//! One agent has it at a time: it is locked, and the lock ends with the process, however that ends. What an agent that was
//! killed has left there is of no use to anybody (its programs went with it) and is removed before the first map is made.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use detector_common::abi::map;
use nix::sys::{
    statfs::{BPF_FS_MAGIC, fstatfs},
    statvfs::FsFlags,
};

use super::KernelError;
use crate::{agent::directory, output::FileName};

/// For nobody else: whoever can open the directory can lock it, and then no agent starts.
const MODE: u32 = 0o700;

/// The pins of a running agent; removed when dropped.
#[derive(Debug)]
pub struct Pins {
    directory: PathBuf,
    /// Whether it goes with the pins: this agent has made it, or one that was killed.
    made: bool,
    /// Holds the lock.
    _lock: File,
}

impl Pins {
    /// Makes `directory` if it is not there, locks it, and removes what an agent that was killed has left in it.
    pub(super) fn take(directory: &Path) -> Result<Self, KernelError> {
        let path = || directory.to_owned();
        let failed = |error: io::Error| {
            let path = path();
            if error.kind() == io::ErrorKind::PermissionDenied {
                KernelError::NotPermitted("pin BPF maps")
            } else if error.kind() == io::ErrorKind::ReadOnlyFilesystem {
                KernelError::ReadOnlyBpffs { path }
            } else {
                KernelError::Pins { path, error }
            }
        };
        let made = match directory::make(directory, MODE) {
            Ok(made) => made,
            // Without a bpf filesystem there is an empty directory of sysfs, which takes nothing.
            Err(_) if is_on_another_filesystem(directory.parent()) => {
                return Err(KernelError::NotBpffs { path: path() });
            }
            Err(error) => return Err(failed(error)),
        };
        let lock = File::open(directory).map_err(failed)?;
        let kind = fstatfs(&lock).map_err(|errno| failed(errno.into()))?;
        if kind.filesystem_type() != BPF_FS_MAGIC {
            if made {
                // It is empty, and nobody else needs it.
                let _ = fs::remove_dir(directory);
            }
            return Err(KernelError::NotBpffs { path: path() });
        }
        if kind.flags().contains(FsFlags::ST_RDONLY) {
            return Err(failed(io::ErrorKind::ReadOnlyFilesystem.into()));
        }
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(KernelError::InUse { path: path() }),
            Err(fs::TryLockError::Error(error)) => return Err(failed(error)),
        }
        if let Some(name) = foreign_entry(directory).map_err(failed)? {
            return Err(KernelError::ForeignPin { path: path(), name });
        }
        let pins = Self {
            directory: path(),
            made: made || directory::is_an_agents(directory, MODE),
            _lock: lock,
        };
        pins.clear().map_err(failed)?;
        Ok(pins)
    }

    /// Where the map of this name is pinned.
    pub(super) fn path_of(&self, name: &str) -> PathBuf {
        self.directory.join(map::pin(name))
    }

    fn clear(&self) -> io::Result<()> {
        for name in map::ALL {
            match fs::remove_file(self.path_of(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

/// The name of something in `directory` that no agent has put there.
fn foreign_entry(directory: &Path) -> io::Result<Option<FileName>> {
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        if !map::ALL.iter().any(|ours| name == *map::pin(ours)) {
            return Ok(Some(FileName::new(Path::new(&name))));
        }
    }
    Ok(None)
}

impl Drop for Pins {
    fn drop(&mut self) {
        // Nobody is left to tell; the next agent clears what stays.
        let _ = self.clear();
        if self.made {
            let _ = fs::remove_dir(&self.directory);
        }
    }
}

fn is_on_another_filesystem(directory: Option<&Path>) -> bool {
    directory
        .and_then(|directory| File::open(directory).ok())
        .and_then(|directory| fstatfs(&directory).ok())
        .is_some_and(|kind| kind.filesystem_type() != BPF_FS_MAGIC)
}
