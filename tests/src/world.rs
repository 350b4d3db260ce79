//! The world that most tests want: a client at the uplink, guests at the other ports, and services
//! over those guests.

use std::net::{Ipv4Addr, SocketAddrV4};

use crate::flow::Target;
use crate::{Machine, Setup, Station};

pub const VIP: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 100);
/// The service `web`: TCP, whose reals listen elsewhere than the VIP does.
pub const WEB: Target = Target { vip: SocketAddrV4::new(VIP, 80), real_port: 8080 };
/// The service `dns`: UDP.
pub const DNS: Target = Target { vip: SocketAddrV4::new(VIP, 53), real_port: 5353 };

pub struct World {
    pub machine: Machine,
    /// At the uplink.
    pub client: Station,
    /// `g1` at port `p1` and so on.
    pub guests: Vec<Station>,
}

impl World {
    /// As many guests as there are weights, each a real of `web` and `dns` with that weight.
    #[track_caller]
    pub fn with_weights(weights: &[u16]) -> World {
        World::on(Setup::default(), weights)
    }

    /// The same on a machine of this kind.
    #[track_caller]
    pub fn on(setup: Setup, weights: &[u16]) -> World {
        let mut lines = vec![];
        for guest in 1..=weights.len() {
            lines.push(guest_line(guest));
        }
        for (service, target) in [("web", WEB), ("dns", DNS)] {
            let protocol = if service == "web" { "tcp" } else { "udp" };
            let (vip, port, real_port) = (target.vip.ip(), target.vip.port(), target.real_port);
            lines.push(format!("set service {service} vip {vip} {protocol} {port}"));
            for (at, weight) in weights.iter().enumerate() {
                let guest = at + 1;
                lines.push(format!(
                    "set service {service} real g{guest} port {real_port} weight {weight}"
                ));
            }
        }
        World::boot(setup, weights.len(), &lines)
    }

    /// So many guests, and these lines of configuration; ready when every guest that is a real has
    /// answered the switch.
    #[track_caller]
    pub fn with_configuration(guests: usize, lines: &[String]) -> World {
        World::boot(Setup::default(), guests, lines)
    }

    #[track_caller]
    fn boot(setup: Setup, guests: usize, lines: &[String]) -> World {
        let configuration = Some(lines.join("\n") + "\n");
        let machine = Machine::boot(Setup { ports: 1 + guests, configuration, ..setup });
        let world = World {
            client: machine.station(0),
            guests: (1..=guests).map(|port| machine.station(port)).collect(),
            machine,
        };
        let is_real = |guest: &usize| {
            let statement = format!(" real g{guest} ");
            lines.iter().any(|line| line.contains(&statement))
        };
        (1..=guests).filter(is_real).for_each(|guest| world.await_up(guest));
        world
    }

    /// Waits until a guest has answered the switch, and so may get connections.
    #[track_caller]
    pub fn await_up(&self, guest: usize) {
        let name = format!("g{guest} ");
        let is_up = |line: &str| line.starts_with(&name) && line.contains(" up ");
        self.machine.console.command_until("show guest", |table| table.lines().any(is_up));
    }

    pub fn reals(&self) -> Vec<&Station> {
        self.guests.iter().collect()
    }

    /// Client and guests.
    pub fn stations(&self) -> Vec<&Station> {
        std::iter::once(&self.client).chain(&self.guests).collect()
    }

    pub fn command(&self, line: &str) -> String {
        self.machine.console.command(line)
    }

    /// In configuration mode: lines, and a commit of them; what that says.
    #[track_caller]
    pub fn commit(&self, lines: &[&str]) -> String {
        lines.iter().for_each(|line| drop(self.command(line)));
        self.command("commit")
    }
}

/// `set guest gN …` for the station at port N.
pub fn guest_line(guest: usize) -> String {
    let mac = format!("52:54:00:01:00:{guest:02x}");
    format!("set guest g{guest} port p{guest} mac {mac} address 10.0.2.{}", 20 + guest)
}
