//! Why an interface cannot be guarded, in one line each, with the cure.

use std::{fmt, io};

use aya::programs::ProgramError;

use crate::{
    agent::{interface::Hook, kernel::KernelError},
    exit::Exit,
};

/// The program cannot be attached.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// Somebody else's program is there.
    #[error(
        "{0}, which detector leaves alone: stop what attached it (one that `ip link` attached goes with `ip link set dev {interface} xdp off`)",
        interface = .0.interface
    )]
    Foreign(Foreign),
    /// Somebody else's program is there, or just was.
    #[error("{0} has another XDP program: stop what attached it, then start again")]
    Occupied(String),
    /// There is no native mode for it.
    #[error(
        "cannot attach to {interface} in native mode: {why}; `--mode auto` falls back to generic"
    )]
    NotNative {
        /// The interface.
        interface: String,
        /// Why not.
        why: &'static str,
    },
    /// The process may not do it.
    #[error("not permitted to attach to {0}: run as root, or with CAP_NET_ADMIN and CAP_BPF")]
    NotPermitted(String),
    /// It went away.
    #[error("interface {0} has just gone: start again when it is back")]
    Gone(String),
    /// The kernel refuses.
    #[error("cannot attach to {0}: {1}; the kernel's log (dmesg) may say more")]
    Refused(String, io::Error),
    /// The kernel does not say what is attached.
    #[error("cannot ask the kernel what is attached to {0}: {1}")]
    Netlink(String, io::Error),
    /// Something else about the program.
    #[error(transparent)]
    Program(ProgramError),
    /// It is not loaded.
    #[error(transparent)]
    Kernel(#[from] KernelError),
}

impl AttachError {
    /// The exit code that tells a script of it.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::NotNative { .. } => Exit::Unsupported,
            Self::NotPermitted(_) => Exit::NotPermitted,
            Self::Kernel(error) => error.exit(),
            Self::Foreign(_)
            | Self::Occupied(_)
            | Self::Gone(_)
            | Self::Refused(..)
            | Self::Netlink(..)
            | Self::Program(_) => Exit::Failed,
        }
    }
}

/// Somebody else's program on an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    /// The interface.
    pub interface: String,
    /// The number of the program in the kernel.
    pub program: u32,
    /// Its name, if it has one and this process may know it.
    pub name: Option<String>,
    /// Where it is attached.
    pub hook: Hook,
}

impl fmt::Display for Foreign {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} has XDP program {}", self.interface, self.program)?;
        if let Some(name) = &self.name {
            write!(out, " ({name})")?;
        }
        write!(out, " in {} mode", self.hook)
    }
}
