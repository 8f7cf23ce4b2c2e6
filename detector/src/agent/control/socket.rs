//! The socket's file: made, taken over from an agent that died, and removed; never one that is somebody else's.

use std::{
    fs::{self, Metadata, Permissions},
    io,
    os::fd::AsRawFd as _,
    os::unix::{
        fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
        net::UnixListener,
    },
    path::{Path, PathBuf},
};

use nix::sys::{
    socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, connect, listen, socket},
    stat::{Mode, fchmod},
};

use crate::{agent::directory, exit::Exit, output::FileName};

/// Nobody but the owner and the group.
const SOCKET_MODE: u32 = 0o660;
/// Anybody may look into the directory.
const DIRECTORY_MODE: u32 = 0o755;

/// The socket cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// An agent listens there.
    #[error(
        "an agent listens on {0} already: stop it first, or give this one a socket of its own with --socket"
    )]
    InUse(FileName),
    /// Something else is there.
    #[error("{0} is there and is no socket: remove it, or name another place with --socket")]
    NotASocket(FileName),
    /// The process may not do it.
    #[error(
        "not permitted to make the control socket {0}: run as root, or name another place with --socket"
    )]
    NotPermitted(FileName),
    /// Something else.
    #[error("cannot make the control socket {0}: {1}; name another place with --socket")]
    Failed(FileName, io::Error),
}

impl SocketError {
    /// The exit code that tells a script of it.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::NotPermitted(_) => Exit::NotPermitted,
            Self::InUse(_) | Self::NotASocket(_) | Self::Failed(..) => Exit::Failed,
        }
    }
}

/// The file of a socket that this process listens on; removed when dropped.
#[derive(Debug)]
pub(in crate::agent) struct ControlSocket {
    path: PathBuf,
    /// Device and number of the file, so that another agent's is not taken for it.
    identity: (u64, u64),
    /// Removes the directory, if an agent has made it, when the file is gone.
    _directory: Option<MadeDirectory>,
}

impl ControlSocket {
    /// Listens on `path`. The directory around it is made if it is not there.
    pub(in crate::agent) fn listen(path: &Path) -> Result<(Self, UnixListener), SocketError> {
        let failed = |error: io::Error| {
            let name = FileName::new(path);
            if error.kind() == io::ErrorKind::PermissionDenied {
                SocketError::NotPermitted(name)
            } else {
                SocketError::Failed(name, error)
            }
        };
        let parent = path.parent().filter(|path| !path.as_os_str().is_empty());
        let mut directory = match parent {
            Some(parent) => MadeDirectory::make(parent).map_err(failed)?,
            None => None,
        };
        if let Some(there) = look(path).map_err(failed)? {
            take_over(path, &there)?.map_err(failed)?;
        }
        let listener = bind_to(path).map_err(failed)?;
        // Not before: another agent may be about to bind its socket there.
        if directory.is_none() {
            directory = parent.and_then(MadeDirectory::left_behind);
        }
        let identity = fs::symlink_metadata(path).map_err(failed)?;
        let socket = Self {
            path: path.to_owned(),
            identity: (identity.dev(), identity.ino()),
            _directory: directory,
        };
        Ok((socket, listener))
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        let ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|file| (file.dev(), file.ino()) == self.identity);
        if ours {
            // Nobody is left to tell; the next agent takes it over.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A socket at `path` that nobody else could ever connect to.
fn bind_to(path: &Path) -> io::Result<UnixListener> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let listener = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    // Linux makes the file with the mode that the socket has, less the umask; so there is no moment without.
    fchmod(&listener, Mode::from_bits_truncate(SOCKET_MODE))?;
    bind(listener.as_raw_fd(), &UnixAddr::new(path)?)?;
    listen(&listener, Backlog::MAXCONN)?;
    fs::set_permissions(path, Permissions::from_mode(SOCKET_MODE))?;
    Ok(listener.into())
}

/// What is at `path`, without following a link.
fn look(path: &Path) -> io::Result<Option<Metadata>> {
    match fs::symlink_metadata(path) {
        Ok(there) => Ok(Some(there)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Connects to the socket at `path` without waiting: a listener that takes nobody on would keep us for ever.
fn try_to_connect(path: &Path) -> io::Result<()> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let client = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    Ok(connect(client.as_raw_fd(), &UnixAddr::new(path)?)?)
}

/// Removes a socket that nobody listens on any more.
fn take_over(path: &Path, there: &Metadata) -> Result<io::Result<()>, SocketError> {
    if !there.file_type().is_socket() {
        return Err(SocketError::NotASocket(FileName::new(path)));
    }
    match try_to_connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(fs::remove_file(path)),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(Err(error)),
        // Whatever else it says, somebody may be there.
        _ => Err(SocketError::InUse(FileName::new(path))),
    }
}

/// A directory that an agent has made; removed when dropped, if it is empty.
#[derive(Debug)]
struct MadeDirectory(PathBuf);

impl MadeDirectory {
    fn make(path: &Path) -> io::Result<Option<Self>> {
        let made = directory::make(path, DIRECTORY_MODE)?;
        Ok(made.then(|| Self(path.to_owned())))
    }

    /// One of an agent that was killed.
    fn left_behind(path: &Path) -> Option<Self> {
        directory::is_an_agents(path, DIRECTORY_MODE).then(|| Self(path.to_owned()))
    }
}

impl Drop for MadeDirectory {
    fn drop(&mut self) {
        // It fails if somebody else put something there, which is reason enough to leave it.
        let _ = fs::remove_dir(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    type TestResult = Result<(), Box<dyn std::error::Error>>;

    #[test]
    fn the_socket_is_for_owner_and_group_and_goes_with_its_directory() -> TestResult {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("run/control.sock");
        let (socket, _listener) = ControlSocket::listen(&path)?;
        assert_eq!(
            fs::symlink_metadata(&path)?.permissions().mode() & 0o777,
            0o660
        );
        drop(socket);
        assert!(!directory.path().join("run").exists());
        Ok(())
    }

    #[test]
    fn a_dead_agents_socket_is_taken_over_and_a_living_ones_is_not() -> TestResult {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("control.sock");
        let living = UnixListener::bind(&path)?;
        assert!(matches!(
            ControlSocket::listen(&path),
            Err(SocketError::InUse(_))
        ));
        drop(living);
        let (socket, _listener) = ControlSocket::listen(&path)?;
        assert!(try_to_connect(&path).is_ok());
        drop(socket);
        assert!(!path.exists());
        Ok(())
    }

    #[test]
    fn a_listener_that_takes_nobody_on_is_a_living_one_and_keeps_nobody() -> TestResult {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("control.sock");
        let listener = bind_to(&path)?;
        listen(&listener, Backlog::new(0)?)?;
        // One waits, and there is room for no more.
        let _waiting = std::os::unix::net::UnixStream::connect(&path)?;
        assert!(matches!(
            ControlSocket::listen(&path),
            Err(SocketError::InUse(_))
        ));
        Ok(())
    }

    #[test]
    fn what_is_no_socket_stays() -> TestResult {
        let directory = tempfile::tempdir()?;
        let file = directory.path().join("file");
        fs::write(&file, "precious")?;
        let link = directory.path().join("link");
        symlink(&file, &link)?;
        let socket = directory.path().join("socket");
        drop(UnixListener::bind(&socket)?);
        let link_to_socket = directory.path().join("link-to-socket");
        symlink(&socket, &link_to_socket)?;
        for path in [&file, &link, &link_to_socket, &directory.path().to_owned()] {
            let refused = ControlSocket::listen(path);
            assert!(
                matches!(refused, Err(SocketError::NotASocket(_))),
                "{path:?}"
            );
        }
        assert_eq!(fs::read_to_string(&file)?, "precious");
        assert!(fs::symlink_metadata(&link_to_socket)?.is_symlink() && socket.exists());
        Ok(())
    }

    #[test]
    fn another_agents_socket_is_not_removed_in_passing() -> TestResult {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("control.sock");
        let (socket, _listener) = ControlSocket::listen(&path)?;
        fs::remove_file(&path)?;
        let _other = UnixListener::bind(&path)?;
        drop(socket);
        assert!(path.exists());
        Ok(())
    }
}
