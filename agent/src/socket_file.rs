//! A UNIX datagram socket with a name in the file system, which lives as long as we do.
//!
//! Datagrams, because a request is one line and so is its answer: there is no connection to count,
//! to time out or to run out of, and a sender that hangs holds nothing of ours. Nothing here waits.
//!
//! The file never has more permissions than it should, not even in its first moment. One that an
//! earlier agent left behind is replaced; one behind which somebody listens is not, and neither is a
//! file of another kind.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, bind, socket};
use nix::sys::stat::{Mode, fchmod};

pub struct SocketFile {
    socket: UnixDatagram,
    path: PathBuf,
}

/// Who may send to a socket, apart from root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Senders {
    /// The agent's own user.
    User,
    /// That user's group too.
    Group,
}

impl SocketFile {
    pub fn bind(path: &Path, senders: Senders) -> Result<SocketFile, String> {
        let failed = |error: io::Error| format!("no socket {}: {error}", path.display());
        make_way(path)?;
        let socket = only_ours(path).map_err(|errno| failed(errno.into()))?;
        let file = SocketFile { socket, path: path.to_owned() };
        fs::set_permissions(path, Permissions::from_mode(senders.mode())).map_err(failed)?;
        Ok(file)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A datagram that has come, as much of it as fits, and who sent it.
    pub fn receive(&self, datagram: &mut [u8]) -> Option<(usize, SocketAddr)> {
        self.socket.recv_from(datagram).ok()
    }

    /// Who has no name of its own gets no answer, and neither does who does not read.
    pub fn answer(&self, sender: &SocketAddr, line: &str) {
        if !sender.is_unnamed() {
            let _ = self.socket.send_to_addr(format!("{line}\n").as_bytes(), sender);
        }
    }
}

impl Senders {
    fn mode(self) -> u32 {
        match self {
            Senders::User => 0o600,
            Senders::Group => 0o660,
        }
    }
}

impl AsFd for SocketFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// A socket at this path to which nobody else can send: Linux gives the file no more permissions
/// than the socket had, so there is no moment at which it has too many.
fn only_ours(path: &Path) -> nix::Result<UnixDatagram> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Unix, SockType::Datagram, flags, None)?;
    fchmod(&socket, Mode::S_IRUSR | Mode::S_IWUSR)?;
    bind(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(UnixDatagram::from(socket))
}

/// Removes a socket behind which nobody is.
fn make_way(path: &Path) -> Result<(), String> {
    let name = path.display();
    match fs::symlink_metadata(path) {
        Err(_) => return Ok(()),
        Ok(file) if !file.file_type().is_socket() => {
            return Err(format!("no socket {name}: a file that is no socket is there"));
        }
        Ok(_) => {}
    }
    let probe = UnixDatagram::unbound().and_then(|socket| socket.connect(path));
    match probe {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path)
            .map_err(|error| format!("the old socket {name} cannot be removed: {error}")),
        Ok(()) | Err(_) => Err(format!("no socket {name}: another program listens there")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::fs::MetadataExt;

    struct Directory(PathBuf);

    impl Directory {
        fn new(name: &str) -> Directory {
            let path = std::env::temp_dir().join(format!("{name}.{}", std::process::id()));
            fs::create_dir(&path).unwrap();
            Directory(path)
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_stale_socket_is_replaced_and_ours_goes_with_us() {
        let directory = Directory::new("fulcrum-socket-stale");
        let path = directory.0.join("s");
        drop(UnixDatagram::bind(&path).unwrap());
        assert!(path.exists(), "a socket that is only closed stays");
        for (senders, mode) in [(Senders::User, 0o600), (Senders::Group, 0o660)] {
            let file = SocketFile::bind(&path, senders).unwrap();
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, mode);
            drop(file);
            assert!(!path.exists());
        }
    }

    #[test]
    fn nobody_can_send_before_it_is_allowed() {
        let directory = Directory::new("fulcrum-socket-mode");
        let path = directory.0.join("s");
        let _socket = only_ours(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o077, 0);
    }

    #[test]
    fn what_is_in_use_or_no_socket_stays() {
        let directory = Directory::new("fulcrum-socket-used");
        let path = directory.0.join("s");
        let first = SocketFile::bind(&path, Senders::User).unwrap();
        let error = SocketFile::bind(&path, Senders::User).err().unwrap();
        assert_eq!(error, format!("no socket {}: another program listens there", path.display()));
        drop(first);

        fs::write(&path, "precious").unwrap();
        let error = SocketFile::bind(&path, Senders::User).err().unwrap();
        assert!(error.ends_with("a file that is no socket is there"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");

        let nowhere = directory.0.join("no/s");
        let error = SocketFile::bind(&nowhere, Senders::User).err().unwrap();
        assert!(error.contains("No such file"), "{error}");
    }

    #[test]
    fn only_who_has_a_name_is_answered() {
        let directory = Directory::new("fulcrum-socket-answer");
        let file = SocketFile::bind(&directory.0.join("s"), Senders::User).unwrap();
        let mut datagram = [0; 8];
        assert!(file.receive(&mut datagram).is_none(), "nothing came, nothing waits");

        let nobody = UnixDatagram::unbound().unwrap();
        nobody.send_to(b"one", file.path()).unwrap();
        let (len, sender) = file.receive(&mut datagram).unwrap();
        assert_eq!(&datagram[..len], b"one");
        file.answer(&sender, "unheard");

        let name = format!("fulcrum-socket-answer.{}", std::process::id());
        let name = SocketAddr::from_abstract_name(name).unwrap();
        let somebody = UnixDatagram::bind_addr(&name).unwrap();
        somebody.send_to(b"two", file.path()).unwrap();
        let (_, sender) = file.receive(&mut datagram).unwrap();
        file.answer(&sender, "heard");
        let len = somebody.recv(&mut datagram).unwrap();
        assert_eq!(&datagram[..len], b"heard\n");
    }
}
