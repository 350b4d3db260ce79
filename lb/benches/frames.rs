//! What a frame costs: from the bytes that came in to the verdict, on one core.
//!
//! ```text
//!  GLIBC_TUNABLES=glibc.malloc.hugetlb=1 cargo bench -p lb
//! ```
//!
//! The variable asks for large pages, which the appliance's memory has; without it a table of a
//! million flows is measured together with the host's page tables.
//!
//! **What is measured.** `Dataplane::receive`: parse, learn, look up, count, rewrite; and
//! `receive_batch` with 32 frames from one port. Frames are made once; each call gets a fresh copy of
//! one, made before the clock starts. A sample is [`BURST`] frames one after the other, so that the
//! clock is read once a burst; the loop around the call is in the figure, `nothing` tells how much it
//! is. Everything comes from one seed.
//!
//! **How to read it.** The median is a call's cost on an idle core, the spread is the host's. The
//! figure of a batch is that of 32 frames. The time does not depend on the length of a frame:
//! checksums are changed by difference. Copies lie in the cache, as frames do that a virtio device
//! has just written; the tables lie where their size puts them.
//!
//! **What bounds it.** With few flows, instructions: some 830 for a packet of a flow (38 ns there), of
//! which the short way (`dataplane/pass.rs`) is 330; 350 for a frame that is only switched (17 ns).
//! `classify`, the parsing of a segment alone, is 4 ns. With many flows, lines of memory that no cache
//! holds, 170 ns each if they are waited for: the flow's place in the index and the two of the flow
//! itself, and what is evicted for them must be written back.
//! - `l2`: source and destination have each a bucket of the FDB, cold with many stations.
//! - `nat`, `direct`: flows come in random order, which is the worst. One call a frame waits for the
//!   index and then for the flow, for the first says where the second is: 390 ns with a million
//!   flows. A batch asks for all of them at once: 100 ns.
//! - `new_flow`: 3,950 instructions by `wll` among 64 reals, some 190 ns: the choice 1,540 (1,120 of
//!   these are scoring one real again, its games, the descent to the least and the next best),
//!   opening the flow 770, parsing, rewriting and counting as for every packet 1,300; by `wlc` among 8
//!   reals 3,340. The rest, 180 ns in a batch and 270 alone, is waited for: for the flow's place in
//!   the index and its slot, at once, and for what the second cache holds of reals and kept SYNs.
//!   Beside lines, for its own words: a copy of what has just been written in smaller parts waits
//!   until all that was written before is in the cache, 30 to 60 ns each time, so what a new flow
//!   leaves behind is written where it stays.
//! - `l2_guest_to_uplink`: 30 ns where nothing is said; a guest's binding takes 3, policers both ways
//!   with bits and frames 7, an access list of 64 rules 10.
//! - `arp`: instructions.

mod scene;

use std::time::Duration;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use lb::wire::arp::{Arp, Operation};
use lb::wire::ip::Version;
use lb::wire::{Ethernet, Ip, Transport};
use lb::*;
use scene::world::{
    CLIENT, CLIENT_MAC, Ends, Served, UPLINK, VIP, World, guest_address, guest_mac, v4,
};
use scene::*;

/// Frames of a sample. Their copies fill half of the first cache.
const BURST: u32 = 256;
/// Frames of a batch, and batches of a sample.
const BATCH: usize = 32;
const BATCHES: u32 = BURST / BATCH as u32;
/// Samples of a benchmark.
const SAMPLES: u32 = 1000;

fn main() {
    divan::main();
}

/// What the measuring itself costs.
#[divan::bench(sample_count = SAMPLES, sample_size = BURST)]
fn nothing(bencher: Bencher) {
    let plane = &mut switch().plane;
    let arrivals = [udp(UPLINK, station_call(0, 1))];
    measure(bencher, plane, &arrivals, |_, arrival| {
        black_box(arrival);
    });
}

/// The headers of a segment to a VIP, and nothing else.
#[divan::bench(sample_count = SAMPLES, sample_size = BURST)]
fn classify(bencher: Bencher) {
    let plane = &mut switch().plane;
    measure(bencher, plane, &[tcp(UPLINK, call(0), "A")], |_, arrival| {
        let frame = arrival.frame();
        let header = Ethernet::parse(frame.head).expect("a frame");
        let ip = Ip::parse(frame.head, frame.len, header.payload_at, header.ethertype);
        let ip = ip.expect("an IP packet").expect("a good one");
        black_box(Transport::parse(frame.head, &ip).expect("a segment"));
    });
}

/// From station to station, both known, so many of them: 10⁴ fill a sixth of the table.
#[divan::bench(args = [2, 10_000], sample_count = SAMPLES, sample_size = BURST)]
fn l2_uplink_to_guest(bencher: Bencher, stations: u32) {
    let mut world = switch();
    let arrivals = stations_calls(&mut world, stations);
    measure(bencher, &mut world.plane, &arrivals, forward);
}

#[divan::bench(args = [2, 10_000], sample_count = SAMPLES, sample_size = BATCHES)]
fn l2_uplink_to_guest_batch(bencher: Bencher, stations: u32) {
    let mut world = switch();
    let arrivals = stations_calls(&mut world, stations);
    measure_batches(bencher, &mut world.plane, &arrivals);
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

/// A guest's packet on its way out: of an undefined guest at a port of which nothing is said, and of one
/// that is held to everything that a port can be held to.
#[divan::bench(args = [Held::ToNothing, Held::ToAll], sample_count = SAMPLES, sample_size = BATCHES)]
fn l2_guest_to_uplink_batch(bencher: Bencher, held: Held) {
    let (mut world, packet) = guest_outward(held);
    measure_batches(bencher, &mut world.plane, &[packet]);
}

/// A client's packet on its way to the real that its flow has.
#[divan::bench(args = [1, 10_000, 1_000_000], sample_count = SAMPLES, sample_size = BURST)]
fn nat_to_real(bencher: Bencher, flows: u32) {
    let mut world = serving(REALS_MAX, Scheduler::Wlc);
    let traffic = Traffic::establish(&mut world, flows, call);
    measure(bencher, &mut world.plane, &traffic.to_real, forward);
}

#[divan::bench(args = [1, 10_000, 1_000_000], sample_count = SAMPLES, sample_size = BATCHES)]
fn nat_to_real_batch(bencher: Bencher, flows: u32) {
    let mut world = serving(REALS_MAX, Scheduler::Wlc);
    let traffic = Traffic::establish(&mut world, flows, call);
    measure_batches(bencher, &mut world.plane, &traffic.to_real);
}

/// The real's packet on its way back.
#[divan::bench(args = [1, 10_000, 1_000_000], sample_count = SAMPLES, sample_size = BURST)]
fn nat_to_client(bencher: Bencher, flows: u32) {
    let mut world = serving(REALS_MAX, Scheduler::Wlc);
    let traffic = Traffic::establish(&mut world, flows, call);
    measure(bencher, &mut world.plane, &traffic.to_client, forward);
}

#[divan::bench(args = [1, 10_000, 1_000_000], sample_count = SAMPLES, sample_size = BATCHES)]
fn nat_to_client_batch(bencher: Bencher, flows: u32) {
    let mut world = serving(REALS_MAX, Scheduler::Wlc);
    let traffic = Traffic::establish(&mut world, flows, call);
    measure_batches(bencher, &mut world.plane, &traffic.to_client);
}

/// The same to the real by IPv6.
#[divan::bench(args = [1, 10_000], sample_count = SAMPLES, sample_size = BURST)]
fn nat_to_real_by_ipv6(bencher: Bencher, flows: u32) {
    to_real_as(bencher, flows, Served { version: Version::V6, ..Served::default() });
}

/// By `direct` forwarding only MAC addresses change.
#[divan::bench(args = [1, 10_000], sample_count = SAMPLES, sample_size = BURST)]
fn direct_to_real(bencher: Bencher, flows: u32) {
    to_real_as(bencher, flows, Served { forwarding: Forwarding::Direct, ..Served::default() });
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

/// The same where many come at once.
#[divan::bench(args = [3, 64], sample_count = SAMPLES, sample_size = BATCHES)]
fn new_flow_wll_batch(bencher: Bencher, reals: usize) {
    let (mut world, calls) = callers(reals, Scheduler::Wll);
    let (mut calls, mut now) = (calls.iter().copied(), world.now);
    bencher
        .counter(ItemsCount::new(BATCH))
        .with_inputs(|| [(); BATCH].map(|()| calls.next().expect("a call for every frame")))
        .bench_local_refs(|batch| {
            now = now + Duration::from_micros(BATCH as u64);
            receive_batch(&mut world.plane, batch, now);
        });
    assert_eq!(world.plane.flows().counters().evicted_embryonic, 0, "room for all");
}

/// The same by a hash of both ends.
#[divan::bench(args = [3, 64], sample_count = SAMPLES, sample_size = BURST)]
fn new_flow_mh(bencher: Bencher, reals: usize) {
    open_flows(bencher, reals, Scheduler::Mh);
}

/// Who has the VIP?
#[divan::bench(sample_count = SAMPLES, sample_size = BURST)]
fn arp_answer(bencher: Bencher) {
    let mut world = serving(1, Scheduler::Wlc);
    let request = Arp {
        operation: Operation::Request,
        sender_mac: MacAddr(CLIENT_MAC),
        sender: v4(CLIENT),
        target_mac: MacAddr::ZERO,
        target: v4(VIP),
    };
    let arrival = Arrival::new(UPLINK, &request.frame(MacAddr::BROADCAST));
    let now = world.now;
    measure(bencher, &mut world.plane, &[arrival], |plane, arrival| {
        let verdict = plane.receive(arrival.ingress, &mut arrival.frame(), now);
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

/// Times batches of arrivals at one port, which like the arrivals is drawn at random.
fn measure_batches(bencher: Bencher, plane: &mut Dataplane, arrivals: &[Arrival]) {
    let mut random = Random(SEED);
    let mut draw = |from: &[Arrival]| from[random.below(from.len() as u32) as usize];
    let mut by_port = arrivals.to_vec();
    by_port.sort_by_key(|arrival| arrival.ingress);
    let ports: Vec<_> = by_port.chunk_by(|one, other| one.ingress == other.ingress).collect();
    let of_port = |ingress| ports.iter().copied().find(|of_port| of_port[0].ingress == ingress);
    bencher
        .counter(ItemsCount::new(BATCH))
        .with_inputs(|| {
            let from = of_port(draw(arrivals).ingress).unwrap_or(arrivals);
            [(); BATCH].map(|()| draw(from))
        })
        .bench_local_refs(|batch| receive_batch(plane, batch, black_box(NOW)));
}

fn receive_batch(plane: &mut Dataplane, batch: &mut [Arrival; BATCH], now: Instant) {
    let ingress = batch[0].ingress;
    let mut frames = batch.each_mut().map(Arrival::frame);
    let mut verdicts = [Verdict::Hold; BATCH];
    plane.receive_batch(ingress, &mut frames, &mut verdicts, now);
    assert!(verdicts.iter().all(|verdict| matches!(verdict, Verdict::Forward(_))));
    black_box(&frames);
}

/// The clock stands, as it does for all frames of one turn of the loop.
fn forward(plane: &mut Dataplane, arrival: &mut Arrival) {
    let ingress = arrival.ingress;
    let verdict = plane.receive(ingress, &mut arrival.frame(), black_box(NOW));
    assert!(matches!(verdict, Verdict::Forward(_)));
    black_box(arrival);
}

fn to_real_as(bencher: Bencher, flows: u32, served: Served) {
    let mut world = serving_as(served);
    let traffic = Traffic::establish(&mut world, flows, |client| call_to(served, client));
    measure(bencher, &mut world.plane, &traffic.to_real, forward);
}

fn open_flows(bencher: Bencher, reals: usize, scheduler: Scheduler) {
    let (mut world, calls) = callers(reals, scheduler);
    let (mut calls, mut now) = (calls.iter(), world.now);
    bencher
        .with_inputs(|| *calls.next().expect("a call for every frame of every sample"))
        .bench_local_refs(|arrival| {
            now = now + Duration::from_micros(1);
            let verdict = world.plane.receive(arrival.ingress, &mut arrival.frame(), now);
            assert!(matches!(verdict, Verdict::Forward(_)));
        });
    assert_eq!(world.plane.flows().counters().evicted_embryonic, 0, "room for all");
}

/// A service, and a call to it for every frame of every sample.
fn callers(reals: usize, scheduler: Scheduler) -> (World, Vec<Arrival>) {
    let mut world = serving(reals, scheduler);
    let calls: Vec<_> = (0..BURST * SAMPLES).map(|client| tcp(UPLINK, call(client), "S")).collect();
    use_slots_once(&mut world, &calls);
    prove(&mut world, reals);
    (world, calls)
}
