//! A switch among stations, driven frame by frame: an uplink, guests' ports, and a clock that the
//! test turns. Every frame that comes out is read by a foreign parser with full checksums.
#![allow(dead_code, unused_imports, reason = "each test file uses its part")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use lb::wire::Offload;
use lb::wire::ip::Version;
use lb::*;

mod discovery;
mod edges;
mod ends;
mod parts;
mod read;
mod served;

pub use discovery::*;
pub use edges::*;
pub use ends::{Ends, patch_ipv4, with_extensions, with_options};
pub use parts::{cut, part, read_parts};
pub use read::{Carries, Packet, pseudo_header, read, read_packet, read_quote};
pub use served::{SERVED, Served};

pub const UPLINK: usize = 0;
pub const VIP: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 2, 100));
pub const VIP_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x100));
pub const VIP_MAC: [u8; 6] = [2, 0x6c, 10, 0, 2, 100];
pub const SWITCH_MAC: [u8; 6] = MacAddr::SWITCH.0;
pub const CLIENT_MAC: [u8; 6] = [0x52, 0x55, 0, 0, 0, 9];
pub const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 2, 2));
pub const CLIENT_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2));
/// The switch's own addresses on guest ports.
pub const SWITCH: IpAddr = IpAddr::V4(addr::LINK_LOCAL);
pub const SWITCH_V6: IpAddr = IpAddr::V6(addr::LINK_LOCAL_V6);
pub const BROADCAST: [u8; 6] = [0xff; 6];

pub fn port(index: usize) -> PortId {
    PortId::new(index).unwrap()
}

pub fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// MAC and addresses of guest `n`, who sits at port `n`.
pub fn guest_mac(n: usize) -> [u8; 6] {
    [0x52, 0x54, 0, 1, 0, n as u8]
}

pub fn guest_address(n: usize) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, 2, 20 + n as u8))
}

pub fn guest_address_v6(n: usize) -> IpAddr {
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x20 + n as u16))
}

pub struct World {
    pub plane: Dataplane,
    pub now: Instant,
    ports: usize,
}

/// A frame that came out, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Out {
    pub ports: Vec<usize>,
    pub frame: Vec<u8>,
}

impl World {
    /// An uplink and `guests` guest ports, all links up, nobody defined.
    pub fn new(guests: usize) -> World {
        World::with_secret(guests, 0x5eed)
    }

    pub fn with_secret(guests: usize, secret: u64) -> World {
        let plane = Dataplane::new(Capacity { flows: 1024, macs: 1024, clients: 1024 }, secret);
        let mut world = World { plane, now: Instant::from_millis(1000), ports: guests + 1 };
        for at in 0..=guests {
            let (port_name, role) = match at {
                0 => ("up0".to_string(), Role::Uplink),
                _ => (format!("p{at}"), Role::Guest),
            };
            let port = port(at);
            world.apply(Command::SetPort { port, name: name(&port_name), role });
            world.apply(Command::SetLink { port, up: true });
        }
        world
    }

    /// The same with every guest defined (`web1` …), a service `web` (TCP 80 on the VIP, reals on
    /// 8080), and every guest's first probe answered.
    pub fn serving(guests: usize) -> World {
        World::serving_as(guests, Served::default())
    }

    /// The same with a service of this kind.
    pub fn serving_as(guests: usize, served: Served) -> World {
        let mut world = World::new(guests);
        world.apply(Command::SetService(served.spec("web")));
        for n in 1..=guests {
            world.define(n);
            world.set_real("web", n, served.real_port(), 100);
        }
        world.settle();
        world
    }

    pub fn apply(&mut self, command: Command) {
        self.plane.apply(&command, self.now).unwrap();
    }

    pub fn refused(&mut self, command: Command) -> Refusal {
        let epoch = self.plane.tables().epoch();
        let refusal = self.plane.apply(&command, self.now).unwrap_err();
        assert_eq!(self.plane.tables().epoch(), epoch, "a refusal changes nothing");
        refusal
    }

    pub fn guest_spec(&self, n: usize) -> GuestSpec {
        GuestSpec {
            addresses: [guest_address(n), guest_address_v6(n)].into_iter().collect(),
            ..GuestSpec::new(name(&format!("web{n}")), port(n), MacAddr(guest_mac(n)))
        }
    }

    pub fn define(&mut self, n: usize) {
        let spec = self.guest_spec(n);
        self.apply(Command::SetGuest(spec));
    }

    pub fn service_spec(service: &str, protocol: Protocol, port: u16) -> ServiceSpec {
        ServiceSpec {
            scheduler: Scheduler::Wlc,
            ..ServiceSpec::new(name(service), VIP, protocol, port.try_into().unwrap())
        }
    }

    pub fn set_service(&mut self, service: &str, protocol: Protocol, port: u16, by: Scheduler) {
        let spec = ServiceSpec { scheduler: by, ..Self::service_spec(service, protocol, port) };
        self.apply(Command::SetService(spec));
    }

    pub fn set_real(&mut self, service: &str, n: usize, port: Option<u16>, weight: u16) {
        let real = RealSpec {
            port: port.map(|port| port.try_into().unwrap()),
            weight,
            ..RealSpec::new(name(&format!("web{n}")))
        };
        self.apply(Command::SetReal { service: name(service), real });
    }

    pub fn real(&self, service: &str, n: usize) -> &Real {
        let tables = self.plane.tables();
        let id = tables.real_by_name(&name(service), &name(&format!("web{n}"))).unwrap();
        tables.real(id).unwrap()
    }

    pub fn standing(&self, service: &str, n: usize) -> Standing {
        let tables = self.plane.tables();
        let id = tables.real_by_name(&name(service), &name(&format!("web{n}"))).unwrap();
        self.plane.standing(id, self.now).unwrap()
    }

    /// Moves time in steps of the housekeeping, every guest answering its probes.
    pub fn pass(&mut self, time: Duration) {
        self.pass_without(time, &[]);
    }

    /// The same, but these guests are silent. Returns what the switch said by itself.
    pub fn pass_without(&mut self, time: Duration, silent: &[usize]) -> Vec<Out> {
        let mut said = Vec::new();
        for _ in 0..time.as_millis().div_ceil(10) {
            self.now = self.now + Duration::from_millis(10);
            self.plane.housekeep(self.now);
            for out in self.originated() {
                let n = out.ports[0];
                let asks_guest = out.frame[..6] == guest_mac(n);
                if asks_guest && !silent.contains(&n) {
                    let answer = answer_to_probe(n, &out.frame);
                    assert_eq!(self.verdict(n, &answer), Verdict::Punt);
                    self.plane.local(port(n), &answer, self.now);
                }
                said.push(out);
            }
        }
        said
    }

    pub fn settle(&mut self) {
        self.pass(Duration::from_secs(4));
    }

    /// A guest's report, which is taken; the answer is thrown away.
    pub fn report(&mut self, n: usize, line: &str) {
        let to_switch = Ends {
            source_mac: guest_mac(n),
            destination_mac: SWITCH_MAC,
            source: (guest_address(n), 3333),
            destination: (SWITCH, 3333),
            ..Ends::call(0, 0)
        };
        self.send(n, &to_switch.udp(line.as_bytes())).unwrap();
        self.originated();
    }

    /// What waits in the outbox.
    pub fn originated(&mut self) -> Vec<Out> {
        let mut outs = Vec::new();
        while let Some(origin) = self.plane.outbox().pop() {
            let ports = origin.egress.map(PortId::index).collect();
            outs.push(Out { ports, frame: origin.bytes.to_vec() });
        }
        outs
    }

    pub fn verdict(&mut self, ingress: usize, frame: &[u8]) -> Verdict {
        let mut frame = frame.to_vec();
        let verdict = self.plane.receive(port(ingress), &mut Frame::plain(&mut frame), self.now);
        self.check();
        verdict
    }

    /// Sends a frame in; what comes out of which ports: of none if it is for the switch itself,
    /// whose answer waits in the outbox.
    pub fn send(&mut self, ingress: usize, frame: &[u8]) -> Result<Out, DropReason> {
        self.send_offloaded(ingress, frame, &mut Offload::default())
    }

    /// The same for a frame that leaves something to a NIC; `offload` is what it leaves afterwards.
    pub fn send_offloaded(
        &mut self,
        ingress: usize,
        frame: &[u8],
        offload: &mut Offload,
    ) -> Result<Out, DropReason> {
        let mut bytes = frame.to_vec();
        let before = self.counts();
        let len = bytes.len();
        let mut frame = Frame { head: &mut bytes, len, offload: *offload };
        let verdict = self.plane.receive(port(ingress), &mut frame, self.now);
        *offload = frame.offload;
        self.check();
        let ports = match verdict {
            Verdict::Drop(reason) => {
                let (mut expected, after) = (before, self.counts());
                expected[ingress][reason as usize] += 1;
                assert_eq!(after, expected, "this counter and no other");
                return Err(reason);
            }
            Verdict::Forward(port) => vec![port.index()],
            Verdict::Reply => vec![ingress],
            Verdict::Punt | Verdict::Hold => vec![],
            Verdict::Flood(ports) => ports.map(PortId::index).collect(),
        };
        assert_eq!(self.counts(), before, "no drop is counted");
        if verdict == Verdict::Punt {
            self.plane.local(port(ingress), &bytes, self.now);
        }
        Ok(Out { ports, frame: bytes })
    }

    fn counts(&self) -> Vec<Vec<u64>> {
        let drops = |at| self.plane.endings(port(at)).drops().map(|(_, count)| count).collect();
        (0..self.ports).map(drops).collect()
    }

    /// What must hold after every step.
    pub fn check(&self) {
        for at in 0..self.ports {
            let endings = self.plane.endings(port(at));
            assert_eq!(endings.rx, endings.sum(), "frames in = endings, port {at}");
        }
        let tables = self.plane.tables();
        let flows = self.plane.flows();
        for (id, real) in tables.reals() {
            let open = flows.iter().filter(|flow| flow.real == id && flow.is_open()).count();
            assert_eq!(real.counters.flows_open as usize, open, "open flows of {real:?}");
            let waiting = flows.iter().filter(|flow| flow.real == id && flow.is_waiting()).count();
            assert_eq!(real.counters.flows_waiting as usize, waiting, "waiting at {real:?}");
            let counters = &real.counters;
            assert_eq!(counters.flows_new - counters.flows_ended, u64::from(counters.flows_open));
        }
    }

    pub fn dropped(&self, at: usize, reason: DropReason) -> u64 {
        self.plane.endings(port(at)).dropped(reason)
    }
}

/// What guest `n` answers when the switch asks whether it is there.
pub fn answer_to_probe(n: usize, probe: &[u8]) -> Vec<u8> {
    answer_for(n, n, probe)
}

/// What guest `n` answers if it claims to be guest `claimed`.
pub fn answer_for(claimed: usize, n: usize, probe: &[u8]) -> Vec<u8> {
    let sliced = etherparse::SlicedPacket::from_ethernet(probe).expect("a whole frame");
    let vlan = sliced.vlan_ids().first().map_or(0, |vlan| vlan.value());
    let answer = |source: IpAddr, destination: IpAddr| Ends {
        vlan,
        source_mac: guest_mac(n),
        destination_mac: SWITCH_MAC,
        source: (source, 0),
        destination: (destination, 0),
    };
    if let Some(etherparse::NetSlice::Arp(arp)) = &sliced.net {
        assert_eq!(arp.target_protocol_addr(), octets(guest_address(n)));
        return answer(guest_address(claimed), NOBODY).arp(2);
    }
    let question = read_packet(probe);
    assert_eq!(question.ends.source.0, SWITCH_V6, "an answer finds back");
    assert_eq!((question.hops, &question.payload[..16]), (255, &octets(guest_address_v6(n))[..]));
    let (target, own) = (guest_address_v6(claimed), option(TARGET_OPTION, guest_mac(n)));
    answer(target, SWITCH_V6).neighbor(ADVERTISEMENT, SOLICITED | OVERRIDE, target, &own)
}

pub fn v4(address: IpAddr) -> Ipv4Addr {
    let IpAddr::V4(address) = address else { panic!("{address}") };
    address
}

pub fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}
