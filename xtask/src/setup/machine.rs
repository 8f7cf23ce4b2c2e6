//! What set-up cannot change and only notes: the user, and the kernel that is running.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

/// Says whether this process is root, which apt and the kernel ask for.
pub(crate) fn is_root() -> bool {
    fs::read_to_string("/proc/self/status").is_ok_and(|status| effective_user(&status) == Some(0))
}

/// Gives the name of this machine's distribution.
pub(crate) fn distribution() -> String {
    os_release("PRETTY_NAME").unwrap_or_else(|| "this system".to_owned())
}

/// Says whether this is the Debian release whose packages are used here.
pub(crate) fn is_debian_12() -> bool {
    os_release("ID").as_deref() == Some("debian")
        && os_release("VERSION_ID").as_deref() == Some("12")
}

/// Gives the name of this release, which is that of its main suite.
pub(crate) fn release() -> Result<String> {
    os_release("VERSION_CODENAME").context(
        "/etc/os-release does not say which release this is: set VERSION_CODENAME there, as Debian does",
    )
}

/// Gives the suite of this release's backports.
pub(crate) fn backports() -> Result<String> {
    Ok(format!("{}-backports", release()?))
}

/// Gives one line, cure included, for everything that would keep the kernel program from running here.
pub(crate) fn notes() -> Vec<String> {
    let mut notes = Vec::new();
    if !is_root() {
        notes.push(
            "not root: everything compiles, but `demo`, `bench` and the kernel tests make namespaces and load programs: \
             run them as root"
                .to_owned(),
        );
    }
    if !Path::new("/sys/kernel/btf/vmlinux").exists() {
        notes.push(
            "this kernel has no BTF (/sys/kernel/btf/vmlinux): use one built with CONFIG_DEBUG_INFO_BTF, as Debian's are"
                .to_owned(),
        );
    }
    notes
}

fn effective_user(status: &str) -> Option<u32> {
    let users = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    users.split_whitespace().nth(1)?.parse().ok()
}

fn os_release(field: &str) -> Option<String> {
    value_of(&fs::read_to_string("/etc/os-release").ok()?, field)
}

fn value_of(os_release: &str, field: &str) -> Option<String> {
    os_release.lines().find_map(|line| {
        let value = line.strip_prefix(field)?.strip_prefix('=')?;
        Some(value.trim_matches('"').to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::{effective_user, value_of};

    #[test]
    fn the_effective_user_decides_who_is_root() {
        let status = "Name:\txtask\nUid:\t1000\t0\t1000\t1000\nGid:\t1000\t1000\t1000\t1000\n";
        assert_eq!(effective_user(status), Some(0));
        assert_eq!(effective_user("Name:\txtask\n"), None);
    }

    #[test]
    fn a_field_of_os_release_is_read_without_its_quotes() {
        let debian =
            "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_ID=\"12\"\nID=debian\n";
        assert_eq!(value_of(debian, "ID").as_deref(), Some("debian"));
        assert_eq!(value_of(debian, "VERSION_ID").as_deref(), Some("12"));
        assert_eq!(value_of(debian, "VERSION_CODENAME"), None);
    }
}
