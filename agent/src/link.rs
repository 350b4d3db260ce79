//! The way to the switch and back: one UDP socket.
//!
//! The switch's address is link-local and the same on every host. A guest with a default route
//! reaches it as it is: the switch takes such a packet from the wire whatever its next hop. A guest
//! with an address but no route binds the socket to its interface; the kernel then takes every
//! address to be on that link. Over IPv6 the interface may stand in the address itself.
//!
//! The socket is not connected, for that would fail where the network is not up yet.

use std::ffi::OsString;
use std::fmt;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::str::FromStr;
use std::time::Instant;

use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use nix::sys::socket::{setsockopt, sockopt};

use lb::guest::report::LoadReport;
use lb::limits::REPORT_BYTES_MAX;

use crate::wait;

/// Datagrams that are looked at in one go.
const DATAGRAMS_MAX: usize = 16;

/// Where the switch is: `169.254.2.1:3333`, `[fe80::6c:62%2]:3333` or `[fe80::6c:62%eth0]:3333`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Address(SocketAddr),
    /// A link-local address and the name of its link.
    OnLink(SocketAddrV6, String),
}

pub struct Link {
    socket: UdpSocket,
    target: SocketAddr,
    bound: bool,
}

impl Link {
    pub fn open(target: &Target, interface: Option<&str>) -> Result<Link, String> {
        let target = target.resolve()?;
        let any = match target.ip() {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let failed = |error| format!("no UDP socket: {error}");
        let socket = UdpSocket::bind((any, 0)).map_err(failed)?;
        socket.set_nonblocking(true).map_err(failed)?;
        if let Some(interface) = interface {
            setsockopt(&socket, sockopt::BindToDevice, &OsString::from(interface)).map_err(
                |errno| match errno {
                    Errno::ENODEV => no_interface(interface),
                    Errno::EPERM => format!("binding to {interface} needs root (CAP_NET_RAW)"),
                    errno => format!("cannot bind to {interface}: {}", errno.desc()),
                },
            )?;
        }
        Ok(Link { socket, target, bound: interface.is_some() })
    }

    pub fn target(&self) -> SocketAddr {
        self.target
    }

    pub fn send(&self, report: &LoadReport<'_>) -> Result<(), String> {
        let target = self.target;
        match self.socket.send_to(report.to_string().as_bytes(), target) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::NetworkUnreachable && !self.bound => {
                Err(format!("no route to {target} (try --interface eth0)"))
            }
            Err(error) => Err(format!("cannot send to {target}: {error}")),
        }
    }

    /// The next answer that has come, without its line end. What others sent is passed over.
    pub fn answer(&self) -> Option<String> {
        let mut datagram = [0; REPORT_BYTES_MAX];
        let end = |address: SocketAddr| (address.ip(), address.port());
        (0..DATAGRAMS_MAX).find_map(|_| {
            let (len, from) = self.socket.recv_from(&mut datagram).ok()?;
            (end(from) == end(self.target))
                .then(|| String::from_utf8_lossy(&datagram[..len]).trim_end().to_owned())
        })
    }

    /// The next answer that comes before `due`.
    pub fn answer_before(&self, due: Instant) -> Option<String> {
        while Instant::now() < due {
            wait::until_readable_or(due, &[self.as_fd()]);
            if let Some(answer) = self.answer() {
                return Some(answer);
            }
        }
        None
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Target {
    fn resolve(&self) -> Result<SocketAddr, String> {
        match self {
            Target::Address(address) => Ok(*address),
            Target::OnLink(address, link) => {
                let index = if_nametoindex(link.as_str()).map_err(|_| no_interface(link))?;
                let (ip, port) = (*address.ip(), address.port());
                Ok(SocketAddrV6::new(ip, port, 0, index).into())
            }
        }
    }
}

impl FromStr for Target {
    type Err = ();

    fn from_str(text: &str) -> Result<Target, ()> {
        let usable = |port: u16| if port == 0 { Err(()) } else { Ok(()) };
        if let Ok(address) = text.parse::<SocketAddr>() {
            usable(address.port())?;
            return Ok(Target::Address(address));
        }
        let (start, rest) = text.split_once('%').ok_or(())?;
        let (link, end) = rest.split_once(']').ok_or(())?;
        let address: SocketAddrV6 = format!("{start}]{end}").parse().map_err(|_| ())?;
        usable(address.port())?;
        if is_interface(link) { Ok(Target::OnLink(address, link.into())) } else { Err(()) }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Address(address) => address.fmt(f),
            Target::OnLink(address, link) => {
                write!(f, "[{}%{link}]:{}", address.ip(), address.port())
            }
        }
    }
}

/// As Linux takes it: 1 to 15 bytes without `/` and white space.
pub fn is_interface(text: &str) -> bool {
    (1..16).contains(&text.len()) && !text.contains(|c: char| c == '/' || c.is_whitespace())
}

fn no_interface(name: &str) -> String {
    format!("there is no interface {name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_as_text() {
        for text in ["169.254.2.1:3333", "[fe80::6c:62]:3333", "[fe80::6c:62%2]:3333"] {
            let target: Target = text.parse().unwrap();
            assert!(matches!(target, Target::Address(_)), "{text}");
            assert_eq!(target.to_string(), text);
        }
        let target: Target = "[fe80::6c:62%eth0.10]:3333".parse().unwrap();
        assert!(matches!(&target, Target::OnLink(_, link) if link == "eth0.10"));
        assert_eq!(target.to_string(), "[fe80::6c:62%eth0.10]:3333");
        let bad = [
            "169.254.2.1",
            "169.254.2.1:0",
            "169.254.2.1%eth0:3333",
            "[169.254.2.1%eth0]:3333",
            "[fe80::1%]:3333",
            "[fe80::1%eth0]",
            "[fe80::1%eth0]:0",
            "[fe80::1%a/b]:3333",
            "[fe80::1%name-of-17-chars]:3333",
            "fe80::1%eth0:3333",
            "",
        ];
        for text in bad {
            assert_eq!(text.parse::<Target>(), Err(()), "{text}");
        }
    }

    #[test]
    fn a_link_is_found_by_its_name() {
        let target: Target = "[fe80::6c:62%lo]:3333".parse().unwrap();
        let SocketAddr::V6(address) = target.resolve().unwrap() else { panic!("it is IPv6") };
        assert_eq!((address.ip().to_string().as_str(), address.port()), ("fe80::6c:62", 3333));
        assert_eq!(address.scope_id(), if_nametoindex("lo").unwrap());
        let target: Target = "[fe80::6c:62%no-such-if0]:3333".parse().unwrap();
        assert_eq!(target.resolve(), Err("there is no interface no-such-if0".into()));
    }
}
