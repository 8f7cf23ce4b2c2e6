//! A network namespace and a mount namespace that nothing names: two file descriptors keep them alive.
//!
//! Inside, `/sys` shows the namespace's own interfaces, `/sys/fs/bpf` is a fresh bpf filesystem and `/run` is empty,
//! so a program that runs inside finds a machine of its own. The machine's mounts are seen but never changed:
//! propagation between the two is cut first. Namespaces belong to a thread, so code goes in on a thread made for it.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io,
    os::{fd::AsRawFd as _, unix::process::CommandExt as _},
    panic::resume_unwind,
    process::Command,
    sync::Arc,
    thread,
};

use anyhow::{Context as _, Result};
use nix::{
    libc,
    mount::{MsFlags, mount},
    sched::{CloneFlags, setns, unshare},
};

/// Room for the path of the working directory.
const PATH_MAX: usize = 4096;

/// Where a host's programs and packets live.
#[derive(Clone, Debug)]
pub struct Namespace {
    network: Arc<File>,
    mounts: Arc<File>,
}

impl Namespace {
    /// Makes both namespaces.
    pub fn new() -> Result<Self> {
        on_own_thread(|| {
            unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS)
                .context("cannot make a network namespace")?;
            mount_privately("/", None, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None)?;
            mount_privately("/sys", Some("sysfs"), MsFlags::empty(), None)?;
            mount_privately("/sys/fs/bpf", Some("bpf"), MsFlags::empty(), None)?;
            mount_privately("/run", Some("tmpfs"), MsFlags::empty(), Some("mode=755"))?;
            let open = |name: &str| {
                File::open(format!("/proc/thread-self/ns/{name}"))
                    .map(Arc::new)
                    .context("cannot hold a namespace")
            };
            Ok(Self {
                network: open("net")?,
                mounts: open("mnt")?,
            })
        })?
    }

    /// Runs code inside, on a thread of its own; a panic in it goes on in the caller.
    pub fn run<T: Send>(&self, action: impl FnOnce() -> T + Send) -> Result<T> {
        on_own_thread(|| {
            self.enter().context("cannot enter a network namespace")?;
            Ok(action())
        })?
    }

    /// A command that will run inside and die with the thread that starts it, so that a killed test leaves no child.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let namespace = self.clone();
        let parent = libc::pid_t::try_from(std::process::id()).unwrap_or_default();
        let enter = move || {
            namespace.enter()?;
            die_with_parent(parent)
        };
        let mut command = Command::new(program);
        // SAFETY: between fork and exec the closure makes system calls only; it neither allocates nor locks.
        unsafe { command.pre_exec(enter) };
        command
    }

    /// A path under which other programs can open the network namespace while this process lives.
    #[must_use]
    pub fn network_path(&self) -> String {
        format!(
            "/proc/{}/fd/{}",
            std::process::id(),
            self.network.as_raw_fd()
        )
    }

    /// Sets kernel parameters of the namespace, given by their path under `/proc/sys/net`.
    ///
    /// A parameter whose directory the kernel does not have (IPv6 compiled out) needs no setting.
    pub(super) fn set_parameters(&self, parameters: &[(&str, &str)]) -> Result<()> {
        self.run(|| {
            for (name, value) in parameters {
                match fs::write(format!("/proc/sys/net/{name}"), value) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    result => {
                        result.with_context(|| format!("cannot set net/{name} to {value}"))?;
                    }
                }
            }
            Ok(())
        })?
    }

    /// Moves the calling thread (or forked child) inside and keeps its working directory. Only makes system calls.
    fn enter(&self) -> io::Result<()> {
        let mut directory = [0; PATH_MAX];
        // SAFETY: the buffer is as long as stated and outlives the call.
        let has_directory =
            !unsafe { libc::getcwd(directory.as_mut_ptr(), directory.len()) }.is_null();
        unshare(CloneFlags::CLONE_FS)?;
        setns(&*self.network, CloneFlags::CLONE_NEWNET)?;
        setns(&*self.mounts, CloneFlags::CLONE_NEWNS)?;
        if has_directory {
            // SAFETY: getcwd left a terminated path in the buffer. Where it no longer exists, `/` stays the directory.
            unsafe { libc::chdir(directory.as_ptr()) };
        }
        Ok(())
    }
}

/// Asks the kernel to kill this process when the thread that started it ends.
fn die_with_parent(parent: libc::pid_t) -> io::Result<()> {
    // SAFETY: prctl and getppid take and return plain numbers.
    let (result, current_parent) = unsafe {
        (
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL),
            libc::getppid(),
        )
    };
    match result {
        0 if current_parent == parent => Ok(()),
        0 => Err(io::Error::from_raw_os_error(libc::ESRCH)),
        _ => Err(io::Error::last_os_error()),
    }
}

fn on_own_thread<T: Send>(action: impl FnOnce() -> T + Send) -> Result<T> {
    thread::scope(|scope| {
        let thread = thread::Builder::new()
            .name("lab".to_owned())
            .spawn_scoped(scope, action)?;
        Ok(thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })
}

fn mount_privately(
    target: &str,
    filesystem: Option<&str>,
    flags: MsFlags,
    options: Option<&str>,
) -> Result<()> {
    mount(filesystem, target, filesystem, flags, options).with_context(|| {
        format!(
            "cannot mount {} on {target} in a private namespace",
            filesystem.unwrap_or("nothing")
        )
    })
}
