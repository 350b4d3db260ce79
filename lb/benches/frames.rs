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

mod scene;

use std::time::Duration;

use divan::{Bencher, black_box};
use lb::addr::LINK_LOCAL;
use lb::wire::arp::{Arp, Operation};
use lb::*;
use scene::world::{CLIENT_MAC, Ends, UPLINK, VIP, guest_address, guest_mac, v4};
use scene::*;

/// Frames of a sample. Their copies fill a third of the first cache.
const BURST: u32 = 256;
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
        sender: v4(scene::world::CLIENT),
        target_mac: MacAddr::ZERO,
        target: v4(VIP),
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
    let verdict =
        plane.receive(arrival.ingress, &mut Frame::plain(&mut arrival.bytes), black_box(now));
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
            let verdict =
                world.plane.receive(arrival.ingress, &mut Frame::plain(&mut arrival.bytes), now);
            assert!(matches!(verdict, Verdict::Forward(_)));
        });
    assert_eq!(world.plane.flows().counters().evicted_embryonic, 0, "room for all");
}
