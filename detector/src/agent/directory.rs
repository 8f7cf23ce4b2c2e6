//! Directories that the agent makes for itself, and how the next one knows them again after it was killed.
//!
//! They bear the sticky bit, which changes nothing where only the owner writes. So an agent removes at its end what
//! another one has made and could not remove, and never a directory of the operator's. Who may do what there is no sign
//! of it: the other one may have had another umask.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::Path,
};

use nix::unistd::geteuid;

const STICKY: u32 = 0o1000;

/// Makes the directory at `path`, for whom `mode` says; tells whether it was not there before.
pub(super) fn make(path: &Path, mode: u32) -> io::Result<bool> {
    match DirBuilder::new().mode(mode | STICKY).create(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether an agent of this user has made the directory at `path`, with this `mode` less its umask.
pub(super) fn is_an_agents(path: &Path, mode: u32) -> bool {
    fs::symlink_metadata(path).is_ok_and(|directory| {
        let bits = directory.mode() & 0o7777;
        directory.is_dir()
            && bits & STICKY != 0
            && bits & !(mode | STICKY) == 0
            && directory.uid() == geteuid().as_raw()
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn a_directory_is_an_agents_only_if_an_agent_has_made_it() -> io::Result<()> {
        let parent = tempfile::tempdir()?;
        let [ours, theirs, open, link] =
            ["ours", "theirs", "open", "link"].map(|name| parent.path().join(name));
        assert!(make(&ours, 0o700)?);
        assert!(!make(&ours, 0o700)?);
        DirBuilder::new().mode(0o700).create(&theirs)?;
        DirBuilder::new().mode(0o1700).create(&open)?;
        fs::set_permissions(&open, fs::Permissions::from_mode(0o1777))?;
        symlink(&ours, &link)?;
        assert!(is_an_agents(&ours, 0o700));
        assert!(is_an_agents(&ours, 0o755), "made with a umask of 0077");
        assert!(!is_an_agents(&open, 0o755), "like /tmp");
        assert!(!is_an_agents(&theirs, 0o700) && !is_an_agents(&link, 0o700));
        Ok(())
    }
}
