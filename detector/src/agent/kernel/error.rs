//! Why the kernel program cannot be loaded or its maps not be read, in one line each, with the cure.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "aya's errors are many, and only a few of them need words of ours"
)]

use std::{fs, io, path::PathBuf};

use aya::{EbpfError, maps::MapError, programs::ProgramError};

use crate::{exit::Exit, output::FileName};

/// The kernel program cannot be loaded, or its maps not be read.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// The process may not do it.
    #[error(
        "not permitted to {0}: run as root, or with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON (before Linux 5.11 also with LimitMEMLOCK=infinity)"
    )]
    NotPermitted(&'static str),
    /// The pins' directory cannot be made or used.
    #[error("cannot use {} for pins: {error}", path.display())]
    Pins {
        /// The directory.
        path: PathBuf,
        /// What the operating system said.
        error: io::Error,
    },
    /// The pins' directory is on another filesystem.
    #[error(
        "{} is not on a bpf filesystem: mount one (mount -t bpf bpf /sys/fs/bpf), or name a directory on one with --pin-dir",
        path.display()
    )]
    NotBpffs {
        /// The directory.
        path: PathBuf,
    },
    /// Nothing can be pinned there.
    #[error(
        "{} is on a bpf filesystem that is mounted read-only: mount it for writing (mount -o remount,rw /sys/fs/bpf), or name a directory on another one with --pin-dir",
        path.display()
    )]
    ReadOnlyBpffs {
        /// The directory.
        path: PathBuf,
    },
    /// Somebody else has pins in the directory.
    #[error(
        "{} holds {name}, which is not detector's: give it a directory of its own with --pin-dir",
        FileName::new(path)
    )]
    ForeignPin {
        /// The directory.
        path: PathBuf,
        /// What is in it.
        name: FileName,
    },
    /// Another agent has the directory.
    #[error(
        "another agent uses {}: stop it first, or give this one a directory of its own with --pin-dir",
        path.display()
    )]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// The kernel does not say how long a tick is.
    #[error("cannot read the kernel's clock: {0}")]
    Clock(io::Error),
    /// There is no descriptor left.
    #[error("cannot open a program or a map a second time: {0}")]
    Descriptor(io::Error),
    /// The kernel does not say for how many CPUs it keeps maps.
    #[error("cannot read for how many CPUs the kernel keeps maps: {0}")]
    Cpus(io::Error),
    /// The kernel refuses the program.
    #[error(
        "the kernel refuses the program ({error}); it needs Linux 5.10 or later. The verifier ends with: {verdict}"
    )]
    Refused {
        /// What the operating system said.
        error: io::Error,
        /// The last line of what the verifier said.
        verdict: String,
    },
    /// The kernel has no such map.
    #[error("the kernel cannot make map {name} ({error}); it needs Linux 5.10 or later")]
    NoMap {
        /// Its name.
        name: String,
        /// What the operating system said.
        error: io::Error,
    },
    /// The object does not have what it should.
    #[error("the kernel object has no {0}: build detector again")]
    Missing(&'static str),
    /// Something else about the object.
    #[error(transparent)]
    Object(EbpfError),
    /// Something else about a map.
    #[error(transparent)]
    Map(MapError),
    /// Something else about a program.
    #[error(transparent)]
    Program(ProgramError),
}

impl KernelError {
    /// The exit code that tells a script of it.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::NotPermitted(_) => Exit::NotPermitted,
            Self::Refused { .. } | Self::NoMap { .. } => Exit::Unsupported,
            Self::Pins { .. }
            | Self::NotBpffs { .. }
            | Self::ReadOnlyBpffs { .. }
            | Self::InUse { .. }
            | Self::ForeignPin { .. }
            | Self::Clock(_)
            | Self::Descriptor(_)
            | Self::Cpus(_)
            | Self::Missing(_)
            | Self::Object(_)
            | Self::Map(_)
            | Self::Program(_) => Exit::Failed,
        }
    }
}

impl From<EbpfError> for KernelError {
    fn from(error: EbpfError) -> Self {
        match error {
            EbpfError::MapError(error) => error.into(),
            EbpfError::ProgramError(error) => error.into(),
            other => Self::Object(other),
        }
    }
}

impl From<MapError> for KernelError {
    fn from(error: MapError) -> Self {
        match error {
            MapError::CreateError { io_error, .. } if is_denied(&io_error) => {
                Self::NotPermitted("make BPF maps")
            }
            // What a kernel says of a type or a flag that it does not know.
            MapError::CreateError { name, io_error }
                if io_error.raw_os_error() == Some(nix::libc::EINVAL) =>
            {
                Self::NoMap {
                    name,
                    error: io_error,
                }
            }
            other => Self::Map(other),
        }
    }
}

impl From<ProgramError> for KernelError {
    fn from(error: ProgramError) -> Self {
        match error {
            ProgramError::LoadError { io_error, .. } if is_denied(&io_error) => {
                Self::NotPermitted("load BPF programs")
            }
            // The verifier holds who lacks it to stricter rules, and says what it says of any program that breaks one.
            ProgramError::LoadError { io_error, .. }
                if io_error.raw_os_error() == Some(nix::libc::EACCES) && !has_perfmon() =>
            {
                Self::NotPermitted("load BPF programs")
            }
            ProgramError::LoadError {
                io_error,
                verifier_log,
            } => Self::Refused {
                error: io_error,
                verdict: last_line(&verifier_log.to_string()),
            },
            other => Self::Program(other),
        }
    }
}

fn is_denied(error: &io::Error) -> bool {
    error.raw_os_error() == Some(nix::libc::EPERM)
}

/// Whether this process has `CAP_PERFMON`, or what includes it; where that cannot be read, it is not what is missing.
fn has_perfmon() -> bool {
    // Linux include/uapi/linux/capability.h
    const CAP_SYS_ADMIN: u64 = 1 << 21;
    const CAP_PERFMON: u64 = 1 << 38;
    let Ok(status) = fs::read_to_string("/proc/self/status") else {
        return true;
    };
    let mut lines = status.lines();
    let effective = lines.find_map(|line| line.strip_prefix("CapEff:"));
    let effective = effective.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    effective.is_none_or(|mask| mask & (CAP_PERFMON | CAP_SYS_ADMIN) != 0)
}

/// The last line that says something else than how much was processed.
fn last_line(log: &str) -> String {
    log.lines()
        .rev()
        .find(|line| !line.trim().is_empty() && !line.starts_with("processed "))
        .unwrap_or("nothing")
        .trim()
        .to_owned()
}
