//! The socket in the file system by which the operator reaches the gate.
//!
//! Guarantees: nobody but the gate's own user can connect, not even for a moment; what a dead gate has left behind is
//! replaced, but never a socket that somebody listens on, nor a file that is none; it is gone when the gate has ended.
//! Does not know: what is said over it.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};

const BACKLOG: i32 = 128;
const OWN_USER_ONLY: u32 = 0o600;

#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    #[error("{}: another process listens there", .0.display())]
    InUse(PathBuf),
    #[error("{}: is no socket, and is left alone", .0.display())]
    NoSocket(PathBuf),
    #[error("cannot listen on {}", path.display())]
    Other {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// A bound socket. Its file goes when this is dropped.
#[derive(Debug)]
pub struct Bound {
    path: PathBuf,
    /// Device and inode: what has taken the place meanwhile is not ours to remove.
    file: (u64, u64),
}

impl Bound {
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|file| file == self.file) {
            // What cannot be removed is replaced at the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Listens on `path`, on a socket that does not block.
///
/// # Errors
/// [`SocketError`], with the path in its text.
pub fn bind(path: &Path) -> Result<(UnixListener, Bound), SocketError> {
    let other = |source| SocketError::Other { path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => return Err(SocketError::NoSocket(path.to_owned())),
        Ok(_) => match UnixStream::connect(path) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                fs::remove_file(path).map_err(other)?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Ok(_) => return Err(SocketError::InUse(path.to_owned())),
            Err(error) => return Err(other(error)),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(other(error)),
    }
    let listen = || {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.bind(&SockAddr::unix(path)?)?;
        // Nobody can connect before it listens, and then only those who may.
        fs::set_permissions(path, fs::Permissions::from_mode(OWN_USER_ONLY))?;
        let file = identity(path)?;
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        Ok((UnixListener::from(socket), Bound { path: path.to_owned(), file }))
    };
    listen().map_err(|source: io::Error| match source.kind() {
        io::ErrorKind::AddrInUse => SocketError::InUse(path.to_owned()),
        _ => other(source),
    })
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|file| (file.dev(), file.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        (folder, path)
    }

    #[test]
    fn only_its_own_user_can_connect_and_it_goes_with_the_gate() {
        let (_folder, path) = place();
        let (_listener, bound) = bind(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        UnixStream::connect(&path).unwrap();
        drop(bound);
        assert!(!path.exists());
    }

    #[test]
    fn what_a_dead_gate_has_left_is_replaced() {
        let (_folder, path) = place();
        drop(UnixListener::bind(&path).unwrap());
        let (_listener, _bound) = bind(&path).unwrap();
        UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn a_socket_in_use_and_a_file_that_is_none_are_left_alone() {
        let (_folder, path) = place();
        let (_listener, _bound) = bind(&path).unwrap();
        assert!(matches!(bind(&path), Err(SocketError::InUse(_))));
        UnixStream::connect(&path).unwrap();
        let (_folder, path) = place();
        fs::write(&path, "precious").unwrap();
        assert!(matches!(bind(&path), Err(SocketError::NoSocket(_))));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[test]
    fn what_has_taken_its_place_stays() {
        let (_folder, path) = place();
        let (_listener, bound) = bind(&path).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "another's").unwrap();
        drop(bound);
        assert!(path.exists());
    }
}
