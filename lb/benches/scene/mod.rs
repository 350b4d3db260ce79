//! What benches are measured on: a switch of the default machine's size, with stations, services
//! and flows, all from one seed.
#![allow(dead_code, reason = "each bench uses its part")]

#[path = "../../tests/world/mod.rs"]
pub mod world;

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use lb::addr::LINK_LOCAL;
use lb::flow::EMBRYONIC_IDLE;
use lb::limits::ACCESS_RULES_MAX;
use lb::switch::access::{Action, Hosts, Target, Transport};
use lb::wire::arp::{Arp, Operation};
use lb::wire::ip::Version;
use lb::*;
use world::{CLIENT_MAC, Ends, SWITCH_MAC, Served, UPLINK, World, guest_address, guest_mac, port};

/// As many as a service may have.
pub const REALS_MAX: usize = 64;
/// Guest ports: one bit of a set is the uplink's.
pub const PORTS_MAX: usize = REALS_MAX - 1;
/// What the default machine has.
const CAPACITY: Capacity = Capacity { flows: 1 << 20, macs: 1 << 16, clients: 1 << 12 };
pub const SEED: u64 = 0x5eed;
/// When all is set up.
pub const NOW: Instant = Instant::from_millis(10_000);
const CLIENT_PORT_MIN: u16 = 1024;
const CLIENTS_PER_ADDRESS: u32 = 1 << 14;

/// A frame, as short as it may be, at the port where it comes in.
#[derive(Clone, Copy)]
#[repr(align(16))]
pub struct Arrival {
    bytes: [u8; 76],
    len: u8,
    pub ingress: PortId,
}

/// The flows of some clients, established, and a later packet of each, both ways.
pub struct Traffic {
    pub to_real: Vec<Arrival>,
    pub to_client: Vec<Arrival>,
}

/// Numbers that a seed foretells (splitmix64).
pub struct Random(pub u64);

/// Opens every flow once and lets all expire, at random, as slots become free in a long life.
/// Otherwise the figure would be that of memory which the host has yet to provide.
pub fn use_slots_once(world: &mut World, calls: &[Arrival]) {
    const TIMES: u32 = 64;
    let second = |n: u32| Duration::from_secs(u64::from(n));
    let (mut random, begin) = (Random(SEED), world.now);
    for call in calls {
        let now = begin + second(random.below(TIMES));
        world.plane.receive(call.ingress, &mut call.clone().frame(), now);
    }
    for time in 0..TIMES {
        world.now = begin + second(time) + EMBRYONIC_IDLE;
        // The whole table is swept in 512 turns.
        (0..512).for_each(|_| world.plane.housekeep(world.now));
    }
    assert!(world.plane.flows().is_empty());
}

/// A switch of the default machine's size: an uplink, guests' ports, nobody defined.
pub fn switch() -> World {
    let mut world = World::new(PORTS_MAX);
    let small = std::mem::replace(&mut world.plane, Dataplane::new(CAPACITY, SEED));
    for (id, Port { name, role, .. }) in small.tables().ports() {
        world.apply(Command::SetPort { port: id, name: name.clone(), role: *role });
        world.apply(Command::SetLink { port: id, up: true });
    }
    world
}

/// The same with a service whose reals are there and have reported.
pub fn serving(reals: usize, scheduler: Scheduler) -> World {
    let mut world = switch();
    world.set_service("web", Protocol::Tcp, 80, scheduler);
    for n in 1..=reals {
        let spec = GuestSpec {
            name: world::name(&format!("web{n}")),
            mac: MacAddr(guest_mac(n)),
            addresses: [guest_address(n)].into_iter().collect(),
            ..world.guest_spec(port_of(n))
        };
        world.apply(Command::SetGuest(spec));
        world.set_real("web", n, Some(8080), 100);
    }
    prove(&mut world, reals);
    world
}

/// The same with a service of this kind and eight reals.
pub fn serving_as(served: Served) -> World {
    let mut world = switch();
    world.apply(Command::SetService(served.spec("web")));
    for n in 1..=8 {
        world.define(n);
        world.set_real("web", n, served.real_port(), 100);
    }
    world.settle();
    world
}

/// There is one guest more than ports.
fn port_of(guest: usize) -> usize {
    guest.min(PORTS_MAX)
}

/// Every guest answers a probe and reports.
pub fn prove(world: &mut World, reals: usize) {
    for n in 1..=reals {
        let mac = MacAddr(guest_mac(n));
        let is_there = Arp {
            operation: Operation::Reply,
            sender_mac: mac,
            sender: world::v4(guest_address(n)),
            target_mac: MacAddr::SWITCH,
            target: LINK_LOCAL,
        };
        let report = Ends {
            vlan: 0,
            source_mac: guest_mac(n),
            destination_mac: SWITCH_MAC,
            source: (guest_address(n), 3333),
            destination: (LINK_LOCAL.into(), 3333),
        };
        let line = format!("up cpu=0.{:02}", 10 + n);
        for frame in [&is_there.frame(MacAddr::SWITCH)[..], &report.udp(line.as_bytes())] {
            world.plane.local(port(port_of(n)), frame, world.now);
        }
    }
    let standings = world.plane.tables().reals().map(|(id, _)| world.plane.standing(id, world.now));
    assert!(standings.flatten().all(|standing| standing.eligibility.is_ok()));
    while world.plane.outbox().pop().is_some() {}
}

impl Traffic {
    pub fn establish(world: &mut World, flows: u32, call: impl Fn(u32) -> Ends) -> Traffic {
        let mut traffic = Traffic { to_real: Vec::new(), to_client: Vec::new() };
        let plane = &mut world.plane;
        for client in 0..flows {
            let call = call(client);
            let mut syn = tcp(UPLINK, call, "S");
            let Verdict::Forward(egress) = plane.receive(port(UPLINK), &mut syn.frame(), world.now)
            else {
                panic!("no real for {call:?}");
            };
            let seen = world::read(syn.frame().head).0;
            let answer = Ends { destination_mac: CLIENT_MAC, ..seen.reversed() };
            let (ack, answer_ack) = (tcp(UPLINK, call, "A"), tcp(egress.index(), answer, "A"));
            for arrival in [tcp(egress.index(), answer, "SA"), ack] {
                plane.receive(arrival.ingress, &mut arrival.clone().frame(), world.now);
            }
            traffic.to_real.push(ack);
            traffic.to_client.push(answer_ack);
        }
        assert_eq!((plane.flows().len(), plane.flows().embryonic()), (flows as usize, 0));
        traffic
    }
}

/// A client's call to the VIP; the clients are behind one router.
pub fn call(client: u32) -> Ends {
    call_to(Served::default(), client)
}

/// The same to the VIP of a service of this kind.
pub fn call_to(served: Served, client: u32) -> Ends {
    let [_, a, b, c] = (client / CLIENTS_PER_ADDRESS).to_be_bytes();
    let address = match served.version {
        Version::V4 => [198, 18 + a, b, c + 1].into(),
        Version::V6 => {
            let group = u16::from_be_bytes([b, c]);
            [0x2001, 0xdb8, 0, u16::from(a), 0, 0, 0, group + 1].into()
        }
    };
    let port = CLIENT_PORT_MIN + (client % CLIENTS_PER_ADDRESS) as u16;
    Ends { source: (address, port), ..served.call(port) }
}

pub fn outward() -> Ends {
    Ends { destination_mac: CLIENT_MAC, destination: (world::CLIENT, 50_000), ..Ends::call(0, 0) }
}

/// Half of the stations are on the uplink, half behind guests' ports; all have been heard.
pub fn stations_calls(world: &mut World, stations: u32) -> Vec<Arrival> {
    let (half, mut random) = (stations / 2, Random(SEED));
    for guest in half..stations {
        learn(world, &udp(guest_port(guest), station_call(guest, 0)));
    }
    for outside in 0..half {
        learn(world, &udp(UPLINK, station_call(outside, half)));
    }
    let to_any = |from| udp(UPLINK, station_call(from, half + random.below(half)));
    (0..half).map(to_any).collect()
}

/// What a guest's port is held to.
#[derive(Clone, Copy, Debug)]
pub enum Held {
    ToNothing,
    /// The guest is bound to its MAC and addresses, its port has policers both ways, limits of storms,
    /// a group, and as many rules as it may have, of which the last one matches.
    ToAll,
}

/// A guest and a station outside that know each other, and a packet from one to the other.
pub fn guest_outward(held: Held) -> (World, Arrival) {
    let mut world = switch();
    let packet = Ends { source_mac: guest_mac(1), source: (guest_address(1), 7), ..outward() };
    if let Held::ToAll = held {
        world.define(1);
        world.set_rules(1, strict_rules());
    }
    for ends in [packet, Ends { source_mac: CLIENT_MAC, ..station_call(0, 1) }] {
        let ingress = if ends.source_mac == CLIENT_MAC { UPLINK } else { 1 };
        learn(&mut world, &udp(ingress, ends));
    }
    (world, udp(1, packet))
}

fn strict_rules() -> PortRules {
    let rate = Policer { bits: NonZeroU64::new(1 << 40), frames: NonZeroU32::new(1_000_000_000) };
    let hosts = |number: u16, action| AccessRule {
        number,
        action,
        to: Target::Hosts(Hosts {
            address: [10, 9, number as u8, 0].into(),
            prefix_len: 24,
            transport: Some(Transport::Of(Protocol::Tcp, None)),
        }),
    };
    let last = ACCESS_RULES_MAX as u16;
    let permit = AccessRule { number: last, action: Action::Permit, to: Target::Any };
    PortRules {
        group: Some(world::name("blue")),
        macs_max: NonZeroU32::new(8),
        access: (1..last).map(|number| hosts(number, Action::Deny)).chain([permit]).collect(),
        police_in: rate,
        police_out: rate,
        storm: NonZeroU32::new(1_000).map(StormLimits::each),
        ..PortRules::default()
    }
}

fn guest_port(station: u32) -> usize {
    1 + station as usize % PORTS_MAX
}

pub fn learn(world: &mut World, arrival: &Arrival) {
    world.plane.receive(arrival.ingress, &mut arrival.clone().frame(), NOW);
}

pub fn station_call(from: u32, to: u32) -> Ends {
    let mac = |station: u32| {
        let [_, _, a, b] = station.to_be_bytes();
        [0x52, 0x56, 0, 0, a, b]
    };
    let end = |station: u32| {
        let [_, _, a, b] = station.to_be_bytes();
        ([10, 1, a, b].into(), 7)
    };
    Ends {
        vlan: 0,
        source_mac: mac(from),
        destination_mac: mac(to),
        source: end(from),
        destination: end(to),
    }
}

pub fn tcp(ingress: usize, ends: Ends, flags: &str) -> Arrival {
    Arrival::new(ingress, &ends.tcp(flags, &[]))
}

pub fn udp(ingress: usize, ends: Ends) -> Arrival {
    Arrival::new(ingress, &ends.udp(b"data"))
}

impl Arrival {
    pub fn new(ingress: usize, frame: &[u8]) -> Arrival {
        let mut bytes = [0; 76];
        bytes[..frame.len()].copy_from_slice(frame);
        // Padded as Ethernet demands.
        Arrival { bytes, len: frame.len().max(60) as u8, ingress: port(ingress) }
    }

    pub fn frame(&mut self) -> Frame<'_> {
        Frame::plain(&mut self.bytes[..usize::from(self.len)])
    }
}

impl Random {
    pub fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ z >> 31) % u64::from(bound)) as u32
    }
}
