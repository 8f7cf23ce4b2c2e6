//! A bpf filesystem of one's own, for tests that pin maps and programs without a laboratory host.
//!
//! It is mounted nowhere: the mount is a file descriptor of this process, reached through `/proc`. So there is no
//! directory to choose, no mount to propagate, and nothing to unmount: when the descriptor closes, by whatever
//! end, the filesystem and its pins are gone.

use std::{
    ffi::CStr,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
    path::PathBuf,
    ptr::null,
};

use anyhow::{Context as _, Result};
use nix::{errno::Errno, libc};

const FSOPEN_CLOEXEC: libc::c_uint = 1;
const FSCONFIG_CMD_CREATE: libc::c_uint = 6;
const FSMOUNT_CLOEXEC: libc::c_uint = 1;

/// A private bpf filesystem, gone when dropped.
pub struct PrivateBpffs {
    mount: OwnedFd,
}

impl PrivateBpffs {
    /// Makes the filesystem.
    pub fn new() -> Result<Self> {
        let context = open_filesystem(c"bpf").context("the kernel has no bpf filesystem")?;
        create(&context).context("cannot create a bpf filesystem (this needs root)")?;
        Ok(Self {
            mount: mount(&context).context("cannot mount a bpf filesystem")?,
        })
    }

    /// Its root directory, for this process and, while this one lives, for others of root's.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        PathBuf::from(format!(
            "/proc/{}/fd/{}",
            std::process::id(),
            self.mount.as_raw_fd()
        ))
    }
}

fn open_filesystem(name: &CStr) -> nix::Result<OwnedFd> {
    // SAFETY: fsopen takes a terminated name and flags.
    let fd = unsafe { libc::syscall(libc::SYS_fsopen, name.as_ptr(), FSOPEN_CLOEXEC) };
    owned(fd)
}

fn create(context: &OwnedFd) -> nix::Result<()> {
    let (no_key, no_value) = (null::<libc::c_char>(), null::<libc::c_char>());
    // SAFETY: this fsconfig command takes a filesystem context, no key, no value and zero.
    let result = unsafe {
        libc::syscall(
            libc::SYS_fsconfig,
            context.as_raw_fd(),
            FSCONFIG_CMD_CREATE,
            no_key,
            no_value,
            0,
        )
    };
    Errno::result(result).map(drop)
}

fn mount(context: &OwnedFd) -> nix::Result<OwnedFd> {
    // SAFETY: fsmount takes a created filesystem context, flags and mount attributes.
    let fd = unsafe { libc::syscall(libc::SYS_fsmount, context.as_raw_fd(), FSMOUNT_CLOEXEC, 0) };
    owned(fd)
}

fn owned(fd: libc::c_long) -> nix::Result<OwnedFd> {
    let fd = i32::try_from(Errno::result(fd)?).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel has just made this descriptor and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
