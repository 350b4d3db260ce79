//! A switch among stations, driven frame by frame: an uplink, guests' ports, and a clock that the
//! test turns. Every frame that comes out is read by a foreign parser with full checksums.
#![allow(dead_code, reason = "each test file uses its part")]

use std::net::Ipv4Addr;
use std::time::Duration;

use etherparse::{NetSlice, PacketBuilder, SlicedPacket, TransportSlice};
use lb::wire::arp::Arp;
use lb::*;

pub const UPLINK: usize = 0;
pub const VIP: [u8; 4] = [10, 0, 2, 100];
pub const VIP_MAC: [u8; 6] = [2, 0x6c, 10, 0, 2, 100];
pub const SWITCH_MAC: [u8; 6] = MacAddr::SWITCH.0;
pub const CLIENT_MAC: [u8; 6] = [0x52, 0x55, 0, 0, 0, 9];
pub const CLIENT: [u8; 4] = [10, 0, 2, 2];
pub const BROADCAST: [u8; 6] = [0xff; 6];

pub fn port(index: usize) -> PortId {
    PortId::new(index).unwrap()
}

pub fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// MAC and address of guest `n`, who sits at port `n`.
pub fn guest_mac(n: usize) -> [u8; 6] {
    [0x52, 0x54, 0, 1, 0, n as u8]
}

pub fn guest_address(n: usize) -> [u8; 4] {
    [10, 0, 2, 20 + n as u8]
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
        let plane = Dataplane::new(Capacity { flows: 1024, macs: 1024 }, secret);
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
        let mut world = World::new(guests);
        world.set_service("web", Protocol::Tcp, 80, Scheduler::Wlc);
        for n in 1..=guests {
            world.define(n);
            world.set_real("web", n, Some(8080), 100);
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
            name: name(&format!("web{n}")),
            port: port(n),
            mac: MacAddr(guest_mac(n)),
            addresses: [Ipv4Addr::from(guest_address(n)).into()].into_iter().collect(),
        }
    }

    pub fn define(&mut self, n: usize) {
        let spec = self.guest_spec(n);
        self.apply(Command::SetGuest(spec));
    }

    pub fn service_spec(service: &str, protocol: Protocol, port: u16) -> ServiceSpec {
        ServiceSpec {
            name: name(service),
            vip: Ipv4Addr::from(VIP).into(),
            protocol,
            port: port.try_into().unwrap(),
            scheduler: Scheduler::Wlc,
            forwarding: Forwarding::Nat,
        }
    }

    pub fn set_service(&mut self, service: &str, protocol: Protocol, port: u16, by: Scheduler) {
        let spec = ServiceSpec { scheduler: by, ..Self::service_spec(service, protocol, port) };
        self.apply(Command::SetService(spec));
    }

    pub fn set_real(&mut self, service: &str, n: usize, port: Option<u16>, weight: u16) {
        let real = RealSpec {
            guest: name(&format!("web{n}")),
            port: port.map(|port| port.try_into().unwrap()),
            weight,
            flows_max: None,
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

    /// The same, but these guests are silent.
    pub fn pass_without(&mut self, time: Duration, silent: &[usize]) -> Vec<Out> {
        let mut said = Vec::new();
        for _ in 0..time.as_millis().div_ceil(10) {
            self.now = self.now + Duration::from_millis(10);
            self.plane.housekeep(self.now);
            for out in self.originated() {
                let n = out.ports[0];
                let asks_guest = out.frame[..6] == guest_mac(n);
                if asks_guest && !silent.contains(&n) {
                    self.answer_probe(n, &out.frame);
                }
                said.push(out);
            }
        }
        said
    }

    pub fn settle(&mut self) {
        self.pass(Duration::from_secs(4));
    }

    fn answer_probe(&mut self, n: usize, probe: &[u8]) {
        let request = Arp::parse(probe, 14).unwrap();
        let answer = request.answer(MacAddr(guest_mac(n))).frame(MacAddr(SWITCH_MAC));
        assert_eq!(self.verdict(n, &answer), Verdict::Punt);
        self.plane.local(port(n), &answer, self.now);
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
        let verdict = self.plane.receive(port(ingress), &mut Frame::plain(&mut frame.to_vec()), self.now);
        self.check();
        verdict
    }

    /// Sends a frame in; what comes out of which ports. Rewritten packets must be whole.
    pub fn send(&mut self, ingress: usize, frame: &[u8]) -> Result<Out, DropReason> {
        let mut frame = frame.to_vec();
        let before = self.counts();
        let verdict = self.plane.receive(port(ingress), &mut Frame::plain(&mut frame), self.now);
        let ports = match verdict {
            Verdict::Drop(reason) => {
                let (mut expected, after) = (before, self.counts());
                expected[ingress][reason as usize] += 1;
                assert_eq!(after, expected, "this counter and no other");
                return Err(reason);
            }
            Verdict::Forward(port) => vec![port.index()],
            Verdict::Reply | Verdict::Punt => vec![ingress],
            Verdict::Flood(ports) => ports.map(PortId::index).collect(),
        };
        assert_eq!(self.counts(), before, "no drop is counted");
        if verdict == Verdict::Punt {
            self.plane.local(port(ingress), &frame, self.now);
        }
        self.check();
        Ok(Out { ports, frame })
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
            let counters = &real.counters;
            assert_eq!(counters.flows_new - counters.flows_ended, u64::from(counters.flows_open));
        }
    }

    pub fn dropped(&self, at: usize, reason: DropReason) -> u64 {
        self.plane.endings(port(at)).dropped(reason)
    }
}

/// The ends of an IPv4 packet with a transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    pub source_mac: [u8; 6],
    pub destination_mac: [u8; 6],
    pub source: ([u8; 4], u16),
    pub destination: ([u8; 4], u16),
}

impl Ends {
    pub fn reversed(self) -> Ends {
        Ends {
            source_mac: self.destination_mac,
            destination_mac: self.source_mac,
            source: self.destination,
            destination: self.source,
        }
    }

    /// A client on the uplink calls the VIP.
    pub fn call(client_port: u16, vip_port: u16) -> Ends {
        Ends {
            source_mac: CLIENT_MAC,
            destination_mac: VIP_MAC,
            source: (CLIENT, client_port),
            destination: (VIP, vip_port),
        }
    }

    fn builder(&self) -> etherparse::PacketBuilderStep<etherparse::IpHeaders> {
        PacketBuilder::ethernet2(self.source_mac, self.destination_mac).ipv4(
            self.source.0,
            self.destination.0,
            64,
        )
    }

    pub fn tcp(&self, flags: &str, payload: &[u8]) -> Vec<u8> {
        let mut tcp = self.builder().tcp(self.source.1, self.destination.1, 1000, 4096);
        for flag in flags.chars() {
            tcp = match flag {
                'S' => tcp.syn(),
                'A' => tcp.ack(7),
                'F' => tcp.fin(),
                'R' => tcp.rst(),
                _ => panic!("no flag {flag}"),
            };
        }
        let mut frame = Vec::new();
        tcp.write(&mut frame, payload).unwrap();
        frame
    }

    pub fn udp(&self, payload: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        let udp = self.builder().udp(self.source.1, self.destination.1);
        udp.write(&mut frame, payload).unwrap();
        frame
    }
}

/// Reads a frame with etherparse; every checksum is summed in full.
pub fn read(frame: &[u8]) -> (Ends, Vec<u8>) {
    let packet = SlicedPacket::from_ethernet(frame).expect("a whole frame");
    let ethernet = match packet.link {
        Some(etherparse::LinkSlice::Ethernet2(slice)) => slice.to_header(),
        link => panic!("{link:?}"),
    };
    let Some(NetSlice::Ipv4(ip)) = &packet.net else { panic!("no IPv4 in {frame:02x?}") };
    let header = ip.header().to_header();
    assert_eq!(header.calc_header_checksum(), header.header_checksum, "IPv4 checksum");
    let (source, destination) = (header.source, header.destination);
    let (ports, payload) = match packet.transport {
        Some(TransportSlice::Tcp(tcp)) => {
            let sum = tcp.calc_checksum_ipv4(source, destination).unwrap();
            assert_eq!(sum, tcp.checksum(), "TCP checksum");
            ((tcp.source_port(), tcp.destination_port()), tcp.payload().to_vec())
        }
        Some(TransportSlice::Udp(udp)) => {
            let header = udp.to_header();
            if header.checksum != 0 {
                let sum =
                    header.calc_checksum_ipv4_raw(source, destination, udp.payload()).unwrap();
                assert_eq!(sum, header.checksum, "UDP checksum");
            }
            ((udp.source_port(), udp.destination_port()), udp.payload().to_vec())
        }
        other => panic!("{other:?}"),
    };
    let ends = Ends {
        source_mac: ethernet.source,
        destination_mac: ethernet.destination,
        source: (source, ports.0),
        destination: (destination, ports.1),
    };
    (ends, payload)
}
