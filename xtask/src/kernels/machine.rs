//! The virtual machine: two emulated processors, a serial console, no network, no disk, and a time to be done in.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

/// How long a guest may take, in seconds: several times what it needs. Only one that hangs takes so long.
const WITHIN: &str = "480";

/// How the kernel starts: nothing on the console but what matters, and an end where it cannot go on.
const COMMAND_LINE: &str = "console=ttyS0 panic=-1 rdinit=/init quiet mitigations=off";

/// Boots a kernel, waits until it has ended or has to be, and gives what stood on the console, which is also kept in `log`.
pub(super) fn boot(kernel: &Path, initrd: &Path, log: &Path) -> Result<String> {
    let written = || format!("cannot write {}", log.display());
    let console = File::create(log).with_context(written)?;
    // Its exit code says nothing: a guest that ends as it should and one that panics look alike.
    Command::new("timeout")
        .args(["--foreground", "--kill-after=5", WITHIN])
        .arg("qemu-system-x86_64")
        .args(["-accel", "tcg,thread=multi", "-cpu", "max"])
        .args(["-smp", "2", "-m", "1024", "-nodefaults", "-nographic"])
        .args(["-no-reboot", "-serial", "stdio", "-append", COMMAND_LINE])
        .arg("-kernel")
        .arg(kernel)
        .arg("-initrd")
        .arg(initrd)
        .stdin(Stdio::null())
        .stdout(console)
        .status()
        .context("cannot run qemu-system-x86_64")?;
    let console = fs::read(log).with_context(|| format!("cannot read {}", log.display()))?;
    Ok(String::from_utf8_lossy(&console).into_owned())
}
