//! Steps that change what is configured, and those that let time pass.

use std::num::{NonZeroU16, NonZeroU32, NonZeroU64};
use std::time::Duration;

use lb::switch::access::{Action, Hosts, Ports, Target, Transport};
use lb::wire::ip::Version;
use lb::*;

use super::Script;
use crate::harness::cast::{self, PORTS, SERVICES, port};
use crate::harness::stage::{Awake, Stage};

impl Script<'_> {
    pub(super) fn pass(&mut self, stage: &mut Stage) {
        const STEPS_MS: [u64; 12] =
            [0, 10, 100, 250, 500, 1_000, 2_000, 10_000, 60_000, 300_000, 1_000_000, 9_000_000];
        let time = Duration::from_millis(self.pick(&STEPS_MS));
        let turns = 1 + usize::from(self.byte() % 8);
        let awake = Awake(!self.byte());
        stage.pass(time, turns, awake);
    }

    pub(super) fn command(&mut self, stage: &mut Stage) {
        let which = self.byte();
        let command = match which % 10 {
            // What came later has numbers that hardly any scene of before has.
            _ if which == 255 => self.of_tenants(),
            _ if which == 254 => self.of_mirrors(),
            _ if which >= 250 => self.of_switch(),
            _ if which >= 248 => self.set_management(),
            247 => return self.ping(stage),
            246 => self.set_groups(),
            0 => self.set_port(),
            1 => Command::SetLink { port: self.port(), up: self.byte() & 1 != 0 },
            2 => Command::SetGuest(self.guest()),
            3 => Command::DeleteGuest(self.guest_name()),
            4 => Command::SetService(self.service()),
            5 => Command::DeleteService(self.service_name()),
            6 => self.set_real(),
            7 => self.remove_real(),
            8 => Command::Administer {
                service: None,
                guest: self.guest_name(),
                state: self.pick(&AdminState::ALL),
            },
            _ => Command::Administer {
                service: Some(self.service_name()),
                guest: self.guest_name(),
                state: self.pick(&AdminState::ALL),
            },
        };
        stage.ask(&command);
    }

    fn set_management(&mut self) -> Command {
        let (what, vlan) = (self.byte() % 4, self.vlan());
        let mut spec = if what == 1 { cast::leased(vlan) } else { cast::management(vlan) };
        if what == 2 {
            let version = self.pick(&[Version::V4, Version::V6]);
            let address = self.address(&cast::speakers()[0], version);
            let host = HostAddress { address, prefix_len: self.byte(), gateway: None };
            spec.addresses.clear();
            spec.addresses.extend([AddressSpec { source: AddressSource::Static(host), vlan }]);
        }
        Command::SetManagement((what != 3).then(|| Box::new(spec)))
    }

    fn set_groups(&mut self) -> Command {
        let (what, interval) = (self.byte(), Duration::from_secs(self.word().into()));
        let in_one = VlanId::new(self.vlan()).into_iter().collect();
        let vlans = if what & 1 == 0 { Vlans::All } else { Vlans::These(Box::new(in_one)) };
        Command::SetGroups(GroupRules {
            unheard: (what & 2 != 0).then(|| vlans.clone()),
            querier: (what & 4 != 0).then_some(Querier { interval, vlans }),
            flood_unknown: what & 8 != 0,
        })
    }

    fn ping(&mut self, stage: &mut Stage) {
        let version = self.pick(&[Version::V4, Version::V6]);
        let to = self.address(&cast::speakers()[0], version);
        // It may be refused.
        let _ = stage.plane.ping(to, stage.now);
    }

    fn remove_real(&mut self) -> Command {
        let (service, guest) = (self.service_name(), self.guest_name());
        match self.byte() & 1 {
            0 => Command::DeleteReal { service, guest },
            _ => Command::CutReal { service, guest },
        }
    }

    fn set_port(&mut self) -> Command {
        let at = self.port();
        let name = cast::name(&format!("p{}", self.byte() % 8));
        let role = self.pick(&[cast::role(at.index()), Role::Uplink, Role::Guest]);
        Command::SetPort { port: at, name, role }
    }

    /// What concerns the switch alone.
    fn of_switch(&mut self) -> Command {
        match self.byte() % 8 {
            0..5 => Command::SetPortRules { port: self.port(), rules: self.rules() },
            5 => Command::SetMac { mac: self.station(), vlan: self.vlan(), port: self.port() },
            6 => Command::DeleteMac { mac: self.station(), vlan: self.vlan() },
            _ => Command::SetAgeing(Duration::from_secs(u64::from(self.word()))),
        }
    }

    /// What keeps tenants apart.
    fn of_tenants(&mut self) -> Command {
        let (port, rules) = (self.port(), self.rules());
        let [bits, frames, storm] = [(); 3].map(|()| self.pick(&[0, 1, 10, 1000, 1_000_000]));
        let limit = Policer { bits: NonZeroU64::new(bits.into()), frames: NonZeroU32::new(frames) };
        let which = self.byte();
        let [police_in, police_out] =
            [1, 2].map(|bit| if which & bit != 0 { limit } else { Policer::default() });
        let each = NonZeroU32::new(storm).map_or(StormLimits::default(), StormLimits::each);
        let storm = (which & 4 != 0).then_some(each);
        let macs_max = (which & 8 != 0).then_some(NonZeroU32::MIN);
        let group = (which & 16 != 0).then(|| cast::name("a"));
        let access = if which & 32 != 0 { self.access() } else { vec![] };
        let [standby, fast_leave] = [64, 128].map(|bit| which & bit != 0);
        let rules = PortRules {
            police_in,
            police_out,
            storm,
            standby,
            macs_max,
            group,
            access,
            fast_leave,
            ..rules
        };
        Command::SetPortRules { port, rules }
    }

    /// Who looks on.
    fn of_mirrors(&mut self) -> Command {
        let which = self.byte();
        let name = cast::name(["a", "b", "c"][usize::from(which) % 3]);
        if which & 128 != 0 {
            return Command::DeleteMirror(name);
        }
        if which & 32 != 0 {
            return self.of_lldp();
        }
        let (from, to) = (self.port(), self.port());
        let way = self.pick(&[None, Some(Way::In), Some(Way::Out)]);
        let proto = self.pick(&[None, Some(Proto::Arp), Some(Proto::Transport(Protocol::Tcp))]);
        let filter =
            Filter { proto, vlan: (which & 64 != 0).then(|| self.vlan()), ..Filter::default() };
        Command::SetMirror(MirrorSpec { name, from, way, filter, to })
    }

    /// Who we are, and who hears it.
    fn of_lldp(&mut self) -> Command {
        let which = self.byte();
        if which & 1 != 0 {
            let lldp = Some(self.pick(&Lldp::ALL));
            let (port, rules) = (self.port(), PortRules { lldp, ..self.rules() });
            return Command::SetPortRules { port, rules };
        }
        let identity = Identity {
            chassis: MacAddr([0x52, 0x54, 0, 0xaa, 0, 0]),
            macs: vec![None, Some(MacAddr([0x52, 0x54, 0, 0xaa, 0, 1]))],
            system_name: wire::lldp::text(b"fulcrum"),
            description: wire::lldp::text(self.take(4)),
        };
        Command::SetIdentity((which & 2 == 0).then(|| Box::new(identity)))
    }

    fn access(&mut self) -> Vec<AccessRule> {
        let count = u16::from(self.byte() % 8);
        let mut rule = |number: u16| {
            let what = self.byte();
            let action = if what & 1 == 0 { Action::Permit } else { Action::Deny };
            let version = if what & 2 == 0 { Version::V4 } else { Version::V6 };
            let ports = Ports { first: self.pick(&[0, 80, 1000]), last: self.pick(&[80, 1000]) };
            let transport = match what >> 4 & 3 {
                0 => None,
                1 => Some(Transport::Icmp),
                2 => Some(Transport::Of(Protocol::Tcp, Some(ports))),
                _ => Some(Transport::Of(Protocol::Udp, None)),
            };
            let to = match what >> 2 & 3 {
                0 => Target::Any,
                1 => Target::Service(self.service_name()),
                _ => {
                    let who = cast::speakers()[usize::from(self.byte()) % 8];
                    let (address, prefix_len) = (who.address(version), self.byte() % 33);
                    Target::Hosts(Hosts { address, prefix_len, transport })
                }
            };
            AccessRule { number, action, to }
        };
        (1..=count).map(&mut rule).collect()
    }

    fn rules(&mut self) -> PortRules {
        let (what, own) = (self.byte(), self.byte());
        let vlan = VlanId::new(self.vlan());
        let other = VlanId::new(1 + u16::from(own) % 32);
        let vlan = match (what & 3, vlan) {
            (1, Some(vlan)) => PortVlan::Access(vlan),
            (2 | 3, _) => {
                let tagged = Box::new(vlan.into_iter().chain(other).collect());
                let native = if what & 3 == 3 { other } else { None };
                PortVlan::Trunk { tagged, native }
            }
            _ => PortVlan::Transparent,
        };
        let [isolated, learning, flood, locked] = [4u8, 8, 16, 32].map(|bit| what & bit != 0);
        PortRules {
            vlan,
            isolated,
            learning: !learning,
            flood: !flood,
            locked,
            ..PortRules::default()
        }
    }

    fn vlan(&mut self) -> u16 {
        self.pick(&[0, cast::VLAN, 20, 4095])
    }

    fn station(&mut self) -> MacAddr {
        let who = usize::from(self.byte()) % 8;
        cast::speakers()[who].mac
    }

    fn guest(&mut self) -> GuestSpec {
        let n = 1 + usize::from(self.byte()) % (cast::GUESTS + 1);
        let changes = self.byte();
        let mut spec = cast::guest(n);
        if changes & 1 != 0 {
            spec.port = self.port();
        }
        if changes & 2 != 0 {
            spec.mac = self.pick(&[
                MacAddr([0x52, 0x54, 0, 1, 0, 0x77]),
                MacAddr::BROADCAST,
                MacAddr::ZERO,
                MacAddr::SWITCH,
                cast::guest_mac(1),
            ]);
        }
        if changes & 4 != 0 {
            let who = cast::speakers()[n + 1];
            let version = self.pick(&[Version::V4, Version::V6]);
            let address = self.address(&who, version);
            spec.addresses.clear();
            spec.addresses.extend([address]);
        }
        if changes & 16 != 0 {
            let bits = self.byte();
            spec.trusts = Trust::ALL.into_iter().filter(|&t| bits >> t as u8 & 1 != 0).collect();
        }
        if changes & 8 != 0 {
            let who = cast::speakers()[0];
            let version = self.pick(&[Version::V4, Version::V6]);
            let address = self.address(&who, version);
            let _ = spec.addresses.push(address);
        }
        spec
    }

    fn service(&mut self) -> ServiceSpec {
        let mut spec = cast::service(usize::from(self.byte()) % (SERVICES + 2));
        let (changes, twin) = (self.byte(), usize::from(self.byte()) % SERVICES);
        let other = cast::service(twin);
        if changes & 1 != 0 {
            spec.scheduler = self.pick(&[
                Scheduler::Mh,
                Scheduler::Wll,
                Scheduler::Rr,
                Scheduler::Wrr,
                Scheduler::Lc,
                Scheduler::Wlc,
                Scheduler::P2c,
                Scheduler::Sh,
                Scheduler::ShPort,
            ]);
        }
        if changes & 2 != 0 {
            spec.forwarding = other.forwarding;
        }
        if changes & 4 != 0 {
            spec.empty = other.empty;
        }
        if changes & 8 != 0 {
            spec.persistence = other.persistence;
        }
        if changes & 16 != 0 {
            spec.flows_max = NonZeroU32::new(u32::from(self.byte() % 8));
        }
        if changes & 32 != 0 {
            spec.vlan = self.pick(&[0, cast::VLAN, 4095]);
        }
        if changes & 64 != 0 {
            spec.vip = other.vip;
        }
        if changes & 128 != 0 {
            (spec.protocol, spec.port) = (other.protocol, other.port);
            spec.one_packet = other.one_packet;
        }
        spec
    }

    fn set_real(&mut self) -> Command {
        let service = self.service_name();
        let port = self.pick(&[Some(8080), None, Some(80), Some(81), Some(9090)]);
        let real = RealSpec {
            guest: self.guest_name(),
            port: port.and_then(NonZeroU16::new),
            weight: self.pick(&[100, 0, 1, 256, 257, 65_535]),
            flows_max: self.pick(&[None, Some(0), Some(1), Some(u32::MAX)]),
            check: None,
        };
        Command::SetReal { service, real }
    }

    fn port(&mut self) -> PortId {
        port(usize::from(self.byte()) % PORTS)
    }

    fn guest_name(&mut self) -> Name {
        cast::guest_name(1 + usize::from(self.byte()) % (cast::GUESTS + 1))
    }

    fn service_name(&mut self) -> Name {
        cast::service_name(usize::from(self.byte()) % (SERVICES + 2))
    }
}
