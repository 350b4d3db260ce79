//! The way to the switch and back: one UDP socket.
//!
//! The switch's address is link-local and the same on every host. A guest with a default route
//! reaches it as it is: the switch takes such a packet from the wire whatever its next hop. A guest
//! with an address but no route binds the socket to its interface; the kernel then takes every
//! address to be on that link.
//!
//! The socket is not connected, for that would fail where the network is not up yet.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{setsockopt, sockopt};

use lb::limits::REPORT_BYTES_MAX;
use lb::report::LoadReport;

pub struct Link {
    socket: UdpSocket,
    target: SocketAddr,
    bound: bool,
}

impl Link {
    pub fn open(target: SocketAddr, interface: Option<&str>) -> Result<Link, String> {
        let any = match target.ip() {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let socket =
            UdpSocket::bind((any, 0)).map_err(|error| format!("no UDP socket: {error}"))?;
        if let Some(interface) = interface {
            setsockopt(&socket, sockopt::BindToDevice, &OsString::from(interface)).map_err(
                |errno| match errno {
                    Errno::ENODEV => format!("there is no interface {interface}"),
                    Errno::EPERM => format!("binding to {interface} needs root (CAP_NET_RAW)"),
                    errno => format!("cannot bind to {interface}: {}", errno.desc()),
                },
            )?;
        }
        Ok(Link { socket, target, bound: interface.is_some() })
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

    /// The next answer that comes before `due`, without its line end.
    pub fn answer_before(&self, due: Instant) -> Option<String> {
        let mut datagram = [0; REPORT_BYTES_MAX];
        let end = |address: SocketAddr| (address.ip(), address.port());
        let is_target = |from| end(from) == end(self.target);
        loop {
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            match self.receive(&mut datagram, left) {
                Some((len, from)) if is_target(from) => {
                    return Some(String::from_utf8_lossy(&datagram[..len]).trim_end().to_owned());
                }
                Some(_) => {}
                // A timeout, or an ICMP error of an earlier datagram: the time is waited out.
                None => std::thread::sleep(left.min(Duration::from_millis(1))),
            }
        }
    }

    fn receive(&self, datagram: &mut [u8], timeout: Duration) -> Option<(usize, SocketAddr)> {
        self.socket.set_read_timeout(Some(timeout)).ok()?;
        self.socket.recv_from(datagram).ok()
    }
}
