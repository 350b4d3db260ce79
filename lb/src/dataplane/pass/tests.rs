//! Two switches alike get the same frames, and one of them never takes the short way.

use core::net::IpAddr;
use core::time::Duration;
use std::format;
use std::string::String;
use std::vec::Vec;

use etherparse::PacketBuilder;
use proptest::prelude::*;

use crate::dataplane::{Capacity, Dataplane};
use crate::wire::Offload;
use crate::wire::offload::PartialChecksum;
use crate::{
    Command, Forwarding, Frame, GuestSpec, Instant, MacAddr, Name, PortId, Protocol, RealSpec,
    Role, ServiceSpec, Verdict,
};

const CLIENT_MAC: MacAddr = MacAddr([0x52, 0x55, 0, 0, 0, 9]);
const GUEST_MAC: MacAddr = MacAddr([0x52, 0x54, 0, 1, 0, 1]);
const BEGIN: Instant = Instant::from_millis(1000);
const ACK: u8 = 0x10;
const SYN: u8 = 0x02;

/// A kind of service.
#[derive(Clone, Copy, Debug)]
struct Served {
    is_v6: bool,
    protocol: Protocol,
    forwarding: Forwarding,
}

const KINDS: [Served; 8] = {
    let v4 = Served { is_v6: false, protocol: Protocol::Tcp, forwarding: Forwarding::Nat };
    let mut all = [v4; 8];
    let mut at = 0;
    while at < all.len() {
        all[at].is_v6 = at & 1 != 0;
        all[at].protocol = if at & 2 != 0 { Protocol::Udp } else { Protocol::Tcp };
        all[at].forwarding = if at & 4 != 0 { Forwarding::Direct } else { Forwarding::Nat };
        at += 1;
    }
    all
};

/// From the client or not, with these flags: a connection that both ends have spoken in.
const OPENING: [(bool, u8); 3] = [(true, SYN), (false, SYN | ACK), (true, ACK)];

/// A frame as it comes in, maybe changed on the way.
#[derive(Clone, Debug)]
struct Sent {
    from_client: bool,
    client_port: u16,
    flags: u8,
    changes: Vec<(prop::sample::Index, u8)>,
    /// Bytes that are cut off, or added as padding.
    cut: usize,
    pad: usize,
    owes_checksum: bool,
    after: Duration,
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn port(index: usize) -> PortId {
    PortId::new(index).unwrap()
}

impl Served {
    fn pick(self, v4: [u8; 4], v6_end: u16) -> IpAddr {
        match self.is_v6 {
            false => v4.into(),
            true => [0xfd00, 0, 0, 0, 0, 0, 0, v6_end].into(),
        }
    }

    fn vip(self) -> IpAddr {
        self.pick([10, 0, 2, 100], 0x100)
    }

    fn client(self) -> IpAddr {
        self.pick([10, 0, 2, 2], 2)
    }

    fn guest(self) -> IpAddr {
        self.pick([10, 0, 2, 21], 0x21)
    }

    /// A switch with one real.
    fn plane(self) -> Dataplane {
        let mut plane = Dataplane::new(Capacity { flows: 64, macs: 64, clients: 64 }, 7);
        let web = ServiceSpec {
            forwarding: self.forwarding,
            ..ServiceSpec::new(name("web"), self.vip(), self.protocol, 80.try_into().unwrap())
        };
        let guest = GuestSpec {
            addresses: [self.guest()].into_iter().collect(),
            ..GuestSpec::new(name("web1"), port(1), GUEST_MAC)
        };
        let real_port = (self.forwarding == Forwarding::Nat).then(|| 8080.try_into().unwrap());
        let real = RealSpec { port: real_port, ..RealSpec::new(name("web1")) };
        for (id, port_name, role) in [(0, "up0", Role::Uplink), (1, "p1", Role::Guest)] {
            let command = Command::SetPort { port: port(id), name: name(port_name), role };
            plane.apply(&command, BEGIN).unwrap();
            plane.apply(&Command::SetLink { port: port(id), up: true }, BEGIN).unwrap();
        }
        for command in [
            Command::SetGuest(guest),
            Command::SetService(web),
            Command::SetReal { service: name("web"), real },
        ] {
            plane.apply(&command, BEGIN).unwrap();
        }
        plane
    }

    fn frame(self, from_client: bool, client_port: u16, flags: u8) -> Vec<u8> {
        let vip = (self.vip(), 80);
        let real = match self.forwarding {
            Forwarding::Nat => (self.guest(), 8080),
            Forwarding::Direct => vip,
        };
        let client = (self.client(), client_port);
        let (macs, source, destination) = match from_client {
            true => ((CLIENT_MAC, MacAddr::virtual_of(vip.0)), client, vip),
            false => ((GUEST_MAC, CLIENT_MAC), real, client),
        };
        let link = PacketBuilder::ethernet2(macs.0.0, macs.1.0);
        let packet = match (source.0, destination.0) {
            (IpAddr::V4(from), IpAddr::V4(to)) => link.ipv4(from.octets(), to.octets(), 64),
            (IpAddr::V6(from), IpAddr::V6(to)) => link.ipv6(from.octets(), to.octets(), 64),
            _ => unreachable!("both are of the service's version"),
        };
        let mut frame = Vec::new();
        match self.protocol {
            Protocol::Udp => packet.udp(source.1, destination.1).write(&mut frame, b"hello"),
            Protocol::Tcp => {
                let mut tcp = packet.tcp(source.1, destination.1, 1, 1000);
                for (flag, set) in [(0x01, "F"), (0x02, "S"), (0x04, "R"), (0x10, "A")] {
                    tcp = match (flags & flag != 0, set) {
                        (true, "F") => tcp.fin(),
                        (true, "S") => tcp.syn(),
                        (true, "R") => tcp.rst(),
                        (true, _) => tcp.ack(1),
                        (false, _) => tcp,
                    };
                }
                tcp.write(&mut frame, b"hello")
            }
        }
        .unwrap();
        frame
    }
}

impl Dataplane {
    /// As a frame is received that no flow is named for.
    fn receive_long(&mut self, ingress: PortId, frame: &mut Frame<'_>, now: Instant) -> Verdict {
        let glance = self.glance(ingress, frame.head);
        self.end(ingress, frame, &glance, now)
    }

    /// All that a frame may change.
    fn state(&self) -> String {
        let ends = [0, 1].map(|at| self.endings(port(at)));
        let reals: Vec<_> = self.tables().reals().map(|(_, real)| real.counters).collect();
        let services: Vec<_> = self.tables().services().map(|(_, s)| s.counters).collect();
        let flows: Vec<_> = self.flows().iter().collect();
        let stations: Vec<_> = self.fdb().iter(BEGIN).collect();
        format!("{ends:?} {reals:?} {services:?} {flows:?} {stations:?} {}", self.outbox_lost())
    }
}

/// Most of them whole, and of an open flow.
fn any_sent() -> impl Strategy<Value = Sent> {
    let changes = proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3);
    let changes = prop_oneof![2 => Just(Vec::new()), 1 => changes];
    let flags =
        prop_oneof![6 => Just(ACK), 1 => Just(ACK | 1), 1 => Just(ACK | 4), 1 => any::<u8>()];
    let sizes = (prop_oneof![6 => Just(0), 1 => 0..80usize], prop_oneof![Just(0), 0..1600usize]);
    let client_port = prop_oneof![8 => Just(50_000), 1 => Just(50_001), 1 => Just(68)];
    (any::<bool>(), client_port, flags, changes, sizes, prop::bool::weighted(0.1), 0..2000u64)
        .prop_map(
            |(from_client, client_port, flags, changes, (cut, pad), owes_checksum, after_ms)| {
                Sent {
                    from_client,
                    client_port,
                    flags,
                    changes,
                    cut,
                    pad,
                    owes_checksum,
                    after: Duration::from_millis(after_ms),
                }
            },
        )
}

/// Whether a packet of a flow of which so much was said takes the short way.
fn takes_it(served: Served, opening: &[(bool, u8)], from_client: bool) -> bool {
    let mut plane = served.plane();
    for &(from_client, flags) in opening {
        let ingress = port(usize::from(!from_client));
        let mut bytes = served.frame(from_client, 50_000, flags);
        plane.receive(ingress, &mut Frame::plain(&mut bytes), BEGIN);
    }
    let ingress = port(usize::from(!from_client));
    let mut bytes = served.frame(from_client, 50_000, ACK);
    let mut glance = plane.glance(ingress, &bytes).unwrap();
    plane.name(&mut glance);
    let mut frame = Frame::plain(&mut bytes);
    let passed = plane.pass(ingress, &glance, from_client, &mut frame, BEGIN);
    assert!(passed.is_none_or(|to| to == port(usize::from(from_client))), "{served:?}");
    passed.is_some()
}

#[test]
fn what_is_usual_takes_it() {
    for served in KINDS {
        for from_client in [true, false] {
            assert!(takes_it(served, &OPENING, from_client), "{served:?} {from_client}");
        }
        let is_udp = served.protocol == Protocol::Udp;
        let unanswered = &OPENING[..1];
        assert_eq!(takes_it(served, unanswered, true), is_udp, "{served:?}: only asked");
        assert!(!takes_it(served, unanswered, false), "{served:?}: the first answer");
        assert!(!takes_it(served, &OPENING[..2], true), "{served:?}: the first word after it");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn both_ways_are_alike(
        served in prop::sample::select(&KINDS),
        opened in 0..=OPENING.len(),
        sent in proptest::collection::vec(any_sent(), 1..40),
    ) {
        let (mut short, mut long) = (served.plane(), served.plane());
        let mut now = BEGIN;
        let opening = OPENING.map(|(from_client, flags)| Sent {
            from_client,
            client_port: 50_000,
            flags,
            changes: Vec::new(),
            cut: 0,
            pad: 0,
            owes_checksum: false,
            after: Duration::ZERO,
        });
        for sent in opening.into_iter().take(opened).chain(sent) {
            let mut bytes = served.frame(sent.from_client, sent.client_port, sent.flags);
            for (at, value) in &sent.changes {
                let at = at.index(bytes.len());
                bytes[at] = *value;
            }
            bytes.truncate(bytes.len() - sent.cut.min(bytes.len()));
            bytes.resize(bytes.len() + sent.pad, 0);
            let start = if served.is_v6 { 54 } else { 34 };
            let offset = if served.protocol == Protocol::Tcp { 16 } else { 6 };
            let checksum = sent.owes_checksum.then_some(PartialChecksum { start, offset });
            now = now + sent.after;
            let ingress = port(usize::from(!sent.from_client));
            let mut copies = [bytes.clone(), bytes];
            let [one, other] = copies.each_mut().map(|bytes| {
                let len = bytes.len();
                Frame { head: bytes, len, offload: Offload { checksum, segments: None } }
            });
            let (mut one, mut other) = (one, other);
            let verdict = short.receive(ingress, &mut one, now);
            prop_assert_eq!(verdict, long.receive_long(ingress, &mut other, now));
            prop_assert_eq!(one.head, other.head);
            prop_assert_eq!(short.state(), long.state());
        }
    }
}
