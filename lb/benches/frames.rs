//! What a frame costs: from the bytes that came in to the verdict, on one core.
//!
//! ```text
//!  GLIBC_TUNABLES=glibc.malloc.hugetlb=1 cargo bench -p lb
//! ```
//!
//! The variable asks for large pages, which the appliance's memory has; without it a table of a
//! million flows is measured together with the host's page tables.
//!
//! **What is measured.** One call of `Dataplane::receive`: parse, learn, look up, count, rewrite.
//! Frames are made once; each call gets a fresh copy of one, made before the clock starts. A sample
//! is [`BURST`] frames one after the other, so that the clock is read once a burst; the loop around
//! the call is in the figure, `nothing` tells how much it is. Everything comes from one seed.
//!
//! **How to read it.** The median is a frame's cost on an idle core, the spread is the host's. The
//! time does not depend on the length of a frame: checksums are changed by difference. Copies lie
//! in the cache, as frames do that a virtio device has just written; the tables lie where their
//! size puts them.
//!
//! **What bounds it.** A line of memory that no cache holds is several times all of the
//! instructions: where a packet of the only flow cost 65 ns, one of a million flows cost 510, for
//! two such lines one after the other. The second cache, 2 MiB there, is soon full.
//! - `l2`: instructions, and each of source and destination a bucket of the FDB, which are cold
//!   with many stations. What a real says of its own accord is looked for among the flows as well.
//! - `nat`: with one flow, instructions. With more, the lines that nobody has touched since the
//!   flow's last packet: its bucket in the index, then its slot, one after the other, for the
//!   first says where the second is. Flows come in random order, which is the worst; and one call
//!   is one frame, so that the waiting of one does not overlap with that of the next.
//! - `new_flow`: judging every real of the service and, for `wll`, forecasting its load, for each
//!   flow anew. Entering a flow adds up to four cold buckets and a slot: slots are given out as
//!   they became free, at random.
//! - `arp`: instructions.

#[path = "../tests/world/mod.rs"]
mod world;

use std::time::Duration;

use divan::{Bencher, black_box};
use lb::addr::LINK_LOCAL;
use lb::flow::EMBRYONIC_IDLE;
use lb::wire::arp::{Arp, Operation};
use lb::*;
use world::{CLIENT_MAC, Ends, SWITCH_MAC, UPLINK, VIP, World, guest_address, guest_mac, port};

/// Frames of a sample. Their copies fill a third of the first cache.
const BURST: u32 = 256;
/// Samples of a benchmark.
const SAMPLES: u32 = 1000;
/// As many as a service may have.
const REALS_MAX: usize = 64;
/// Guest ports: one bit of a set is the uplink's.
const PORTS_MAX: usize = REALS_MAX - 1;
/// What the default machine has.
const CAPACITY: Capacity = Capacity { flows: 1 << 20, macs: 1 << 16 };
const SEED: u64 = 0x5eed;
const CLIENT_PORT_MIN: u16 = 1024;
const CLIENTS_PER_ADDRESS: u32 = 1 << 14;

fn main() {
    divan::main();
}

/// A frame of the least length at the port where it comes in.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Arrival {
    bytes: [u8; 60],
    ingress: PortId,
}

/// The flows of some clients, established, and a later packet of each, both ways.
struct Traffic {
    to_real: Vec<Arrival>,
    to_client: Vec<Arrival>,
}

/// Numbers that a seed foretells (splitmix64).
struct Random(u64);

/// What the measuring itself costs.
#[divan::bench(sample_count = SAMPLES, sample_size = BURST)]
fn nothing(bencher: Bencher) {
    let plane = &mut switch().plane;
    let arrivals = [udp(UPLINK, station_call(0, 1))];
    measure(bencher, plane, &arrivals, |_, arrival| {
        black_box(&mut arrival.bytes);
    });
}

/// From station to station, both known, so many of them: 10⁴ fill a sixth of the table.
#[divan::bench(args = [2, 10_000], sample_count = SAMPLES, sample_size = BURST)]
fn l2_uplink_to_guest(bencher: Bencher, stations: u32) {
    let mut world = switch();
    let arrivals = stations_calls(&mut world, stations);
    measure(bencher, &mut world.plane, &arrivals, forward);
}

/// What a real says of its own accord.
#[divan::bench(sample_count = SAMPLES, sample_size = BURST)]
fn l2_real_to_uplink(bencher: Bencher) {
    let mut world = serving(3, Scheduler::Wlc);
    let ends = Ends { source_mac: guest_mac(1), source: (guest_address(1), 50_000), ..outward() };
    let client = Ends { source_mac: CLIENT_MAC, ..station_call(0, 1) };
    learn(&mut world, &udp(UPLINK, client));
    measure(bencher, &mut world.plane, &[udp(1, ends)], forward);
}

/// A client's packet on its way to the real that its flow has.
#[divan::bench(args = [1, 10_000, 1_000_000], sample_count = SAMPLES, sample_size = BURST)]
fn nat_to_real(bencher: Bencher, flows: u32) {
    let mut world = serving(REALS_MAX, Scheduler::Wlc);
    let traffic = Traffic::establish(&mut world, flows);
    measure(bencher, &mut world.plane, &traffic.to_real, forward);
}

/// The real's packet on its way back.
#[divan::bench(args = [1, 10_000, 1_000_000], sample_count = SAMPLES, sample_size = BURST)]
fn nat_to_client(bencher: Bencher, flows: u32) {
    let mut world = serving(REALS_MAX, Scheduler::Wlc);
    let traffic = Traffic::establish(&mut world, flows);
    measure(bencher, &mut world.plane, &traffic.to_client, forward);
}

/// A SYN that opens a flow, at a million a second.
#[divan::bench(args = [3, 64], sample_count = SAMPLES, sample_size = BURST)]
fn new_flow_wlc(bencher: Bencher, reals: usize) {
    open_flows(bencher, reals, Scheduler::Wlc);
}

/// The same where every real has said how loaded it is.
#[divan::bench(args = [3, 64], sample_count = SAMPLES, sample_size = BURST)]
fn new_flow_wll(bencher: Bencher, reals: usize) {
    open_flows(bencher, reals, Scheduler::Wll);
}

/// Who has the VIP?
#[divan::bench(sample_count = SAMPLES, sample_size = BURST)]
fn arp_answer(bencher: Bencher) {
    let mut world = serving(1, Scheduler::Wlc);
    let request = Arp {
        operation: Operation::Request,
        sender_mac: MacAddr(CLIENT_MAC),
        sender: world::CLIENT.into(),
        target_mac: MacAddr::ZERO,
        target: VIP.into(),
    };
    let arrival = Arrival::new(UPLINK, &request.frame(MacAddr::BROADCAST));
    let now = world.now;
    measure(bencher, &mut world.plane, &[arrival], |plane, arrival| {
        let verdict = plane.receive(arrival.ingress, &mut Frame::plain(&mut arrival.bytes), now);
        assert!(verdict == Verdict::Reply);
    });
}

/// Times `act` on copies of arrivals that are drawn at random.
fn measure(
    bencher: Bencher,
    plane: &mut Dataplane,
    arrivals: &[Arrival],
    mut act: impl FnMut(&mut Dataplane, &mut Arrival),
) {
    let mut random = Random(SEED);
    bencher
        .with_inputs(|| arrivals[random.below(arrivals.len() as u32) as usize])
        .bench_local_refs(|arrival| act(plane, arrival));
}

/// The clock stands, as it does for all frames of one turn of the loop.
fn forward(plane: &mut Dataplane, arrival: &mut Arrival) {
    let now = Instant::from_millis(10_000);
    let verdict = plane.receive(arrival.ingress, &mut Frame::plain(&mut arrival.bytes), black_box(now));
    assert!(matches!(verdict, Verdict::Forward(_)));
    black_box(&arrival.bytes);
}

fn open_flows(bencher: Bencher, reals: usize, scheduler: Scheduler) {
    let mut world = serving(reals, scheduler);
    let calls: Vec<_> = (0..BURST * SAMPLES).map(|client| tcp(UPLINK, call(client), "S")).collect();
    use_slots_once(&mut world, &calls);
    prove(&mut world, reals);
    let (mut calls, mut now) = (calls.iter(), world.now);
    bencher
        .with_inputs(|| *calls.next().expect("a call for every frame of every sample"))
        .bench_local_refs(|arrival| {
            now = now + Duration::from_micros(1);
            let verdict = world.plane.receive(arrival.ingress, &mut Frame::plain(&mut arrival.bytes), now);
            assert!(matches!(verdict, Verdict::Forward(_)));
        });
    assert_eq!(world.plane.flows().counters().evicted_embryonic, 0, "room for all");
}

/// Opens every flow once and lets all expire, at random, as slots become free in a long life.
/// Otherwise the figure would be that of memory which the host has yet to provide.
fn use_slots_once(world: &mut World, calls: &[Arrival]) {
    const TIMES: u32 = 64;
    let second = |n: u32| Duration::from_secs(u64::from(n));
    let (mut random, begin) = (Random(SEED), world.now);
    for call in calls {
        let now = begin + second(random.below(TIMES));
        world.plane.receive(call.ingress, &mut Frame::plain(&mut call.bytes.clone()), now);
    }
    for time in 0..TIMES {
        world.now = begin + second(time) + EMBRYONIC_IDLE;
        // The whole table is swept in 512 turns.
        (0..512).for_each(|_| world.plane.housekeep(world.now));
    }
    assert!(world.plane.flows().is_empty());
}

/// A switch of the default machine's size: an uplink, guests' ports, nobody defined.
fn switch() -> World {
    let mut world = World::new(PORTS_MAX);
    let small = std::mem::replace(&mut world.plane, Dataplane::new(CAPACITY, SEED));
    for (id, Port { name, role, .. }) in small.tables().ports() {
        world.apply(Command::SetPort { port: id, name: name.clone(), role: *role });
        world.apply(Command::SetLink { port: id, up: true });
    }
    world
}

/// The same with a service whose reals are there and have reported.
fn serving(reals: usize, scheduler: Scheduler) -> World {
    let mut world = switch();
    world.set_service("web", Protocol::Tcp, 80, scheduler);
    for n in 1..=reals {
        let spec = GuestSpec {
            name: world::name(&format!("web{n}")),
            mac: MacAddr(guest_mac(n)),
            addresses: [std::net::Ipv4Addr::from(guest_address(n)).into()].into_iter().collect(),
            ..world.guest_spec(port_of(n))
        };
        world.apply(Command::SetGuest(spec));
        world.set_real("web", n, Some(8080), 100);
    }
    prove(&mut world, reals);
    world
}

/// There is one guest more than ports.
fn port_of(guest: usize) -> usize {
    guest.min(PORTS_MAX)
}

/// Every guest answers a probe and reports.
fn prove(world: &mut World, reals: usize) {
    for n in 1..=reals {
        let mac = MacAddr(guest_mac(n));
        let is_there = Arp {
            operation: Operation::Reply,
            sender_mac: mac,
            sender: guest_address(n).into(),
            target_mac: MacAddr::SWITCH,
            target: LINK_LOCAL,
        };
        let report = Ends {
            source_mac: guest_mac(n),
            destination_mac: SWITCH_MAC,
            source: (guest_address(n), 3333),
            destination: (LINK_LOCAL.octets(), 3333),
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
    fn establish(world: &mut World, flows: u32) -> Traffic {
        let mut traffic = Traffic { to_real: Vec::new(), to_client: Vec::new() };
        let plane = &mut world.plane;
        for client in 0..flows {
            let call = call(client);
            let mut syn = tcp(UPLINK, call, "S");
            let Verdict::Forward(egress) = plane.receive(port(UPLINK), &mut Frame::plain(&mut syn.bytes), world.now)
            else {
                panic!("no real for {call:?}");
            };
            let seen = world::read(&syn.bytes[..54]).0;
            let answer = Ends { destination_mac: CLIENT_MAC, ..seen.reversed() };
            let (ack, answer_ack) = (tcp(UPLINK, call, "A"), tcp(egress.index(), answer, "A"));
            for arrival in [tcp(egress.index(), answer, "SA"), ack] {
                plane.receive(arrival.ingress, &mut Frame::plain(&mut arrival.bytes.clone()), world.now);
            }
            traffic.to_real.push(ack);
            traffic.to_client.push(answer_ack);
        }
        assert_eq!((plane.flows().len(), plane.flows().embryonic()), (flows as usize, 0));
        traffic
    }
}

/// A client's call to the VIP; the clients are behind one router.
fn call(client: u32) -> Ends {
    let [_, a, b, c] = (client / CLIENTS_PER_ADDRESS).to_be_bytes();
    let port = CLIENT_PORT_MIN + (client % CLIENTS_PER_ADDRESS) as u16;
    Ends { source: ([198, 18 + a, b, c + 1], port), ..Ends::call(port, 80) }
}

fn outward() -> Ends {
    Ends { destination_mac: CLIENT_MAC, destination: (world::CLIENT, 50_000), ..Ends::call(0, 0) }
}

/// Half of the stations are on the uplink, half behind guests' ports; all have been heard.
fn stations_calls(world: &mut World, stations: u32) -> Vec<Arrival> {
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

fn guest_port(station: u32) -> usize {
    1 + station as usize % PORTS_MAX
}

fn learn(world: &mut World, arrival: &Arrival) {
    let now = Instant::from_millis(10_000);
    world.plane.receive(arrival.ingress, &mut Frame::plain(&mut arrival.bytes.clone()), now);
}

fn station_call(from: u32, to: u32) -> Ends {
    let mac = |station: u32| {
        let [_, _, a, b] = station.to_be_bytes();
        [0x52, 0x56, 0, 0, a, b]
    };
    let end = |station: u32| {
        let [_, _, a, b] = station.to_be_bytes();
        ([10, 1, a, b], 7)
    };
    Ends {
        source_mac: mac(from),
        destination_mac: mac(to),
        source: end(from),
        destination: end(to),
    }
}

fn tcp(ingress: usize, ends: Ends, flags: &str) -> Arrival {
    Arrival::new(ingress, &ends.tcp(flags, &[]))
}

fn udp(ingress: usize, ends: Ends) -> Arrival {
    Arrival::new(ingress, &ends.udp(b"data"))
}

impl Arrival {
    /// Padded as Ethernet demands.
    fn new(ingress: usize, frame: &[u8]) -> Arrival {
        let mut bytes = [0; 60];
        bytes[..frame.len()].copy_from_slice(frame);
        Arrival { bytes, ingress: port(ingress) }
    }
}

impl Random {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ z >> 31) % u64::from(bound)) as u32
    }
}
