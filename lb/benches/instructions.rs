//! How many instructions a frame takes, counted by valgrind: the same on every machine, and so the
//! figure to watch between two changes. How long they take is in `frames`.
//!
//! ```text
//!  cargo install gungraun-runner --version =0.20.0
//!  cargo bench -p lb --bench instructions
//! ```
//!
//! Without valgrind it can be built, but not run. Each figure is that of 32 frames, one by one or in
//! one batch.
#![allow(unused_qualifications, reason = "written by the macros")]

mod scene;

use std::hint::black_box;

use gungraun::{library_benchmark, library_benchmark_group, main};
use lb::wire::ip::Version;
use lb::*;
use scene::world::{Served, UPLINK};
use scene::*;

const BATCH: usize = 32;

/// A switch, and frames that come in at one of its ports.
struct Ready {
    plane: Dataplane,
    arrivals: [Arrival; BATCH],
}

fn l2() -> Box<Ready> {
    let mut world = switch();
    let arrivals = stations_calls(&mut world, 2 * BATCH as u32);
    Ready::new(world.plane, &arrivals)
}

fn to_real(served: Served) -> Box<Ready> {
    let mut world = serving_as(served);
    let traffic = Traffic::establish(&mut world, BATCH as u32, |client| call_to(served, client));
    Ready::new(world.plane, &traffic.to_real)
}

fn to_client() -> Box<Ready> {
    let mut world = serving_as(Served::default());
    let all = Traffic::establish(&mut world, 16 * BATCH as u32, call).to_client;
    let of_one: Vec<_> = all.iter().filter(|a| a.ingress == all[0].ingress).copied().collect();
    Ready::new(world.plane, &of_one)
}

fn nat() -> Box<Ready> {
    to_real(Served::default())
}

fn nat_by_ipv6() -> Box<Ready> {
    to_real(Served { version: Version::V6, ..Served::default() })
}

fn direct() -> Box<Ready> {
    to_real(Served { forwarding: Forwarding::Direct, ..Served::default() })
}

/// Among so many reals; the board that they are chosen by was made for an earlier flow.
fn new_flow(reals: usize, scheduler: Scheduler) -> Box<Ready> {
    let mut world = serving(reals, scheduler);
    world.now = NOW;
    prove(&mut world, reals);
    let mut syns = (0..=BATCH as u32).map(|client| tcp(UPLINK, call(client), "S"));
    for mut earlier in syns.by_ref().take(1) {
        world.plane.receive(earlier.ingress, &mut earlier.frame(), NOW);
    }
    Ready::new(world.plane, &syns.collect::<Vec<_>>())
}

impl Ready {
    fn new(plane: Dataplane, arrivals: &[Arrival]) -> Box<Ready> {
        let arrivals = arrivals.first_chunk().expect("a batch of frames");
        Box::new(Ready { plane, arrivals: *arrivals })
    }
}

#[library_benchmark]
#[bench::l2(l2())]
#[bench::nat_to_real(nat())]
#[bench::nat_to_client(to_client())]
#[bench::nat_to_real_by_ipv6(nat_by_ipv6())]
#[bench::direct_to_real(direct())]
#[bench::new_flow_wlc(new_flow(8, Scheduler::Wlc))]
#[bench::new_flow_wll(new_flow(64, Scheduler::Wll))]
fn single(mut ready: Box<Ready>) -> Box<Ready> {
    for arrival in &mut ready.arrivals {
        let ingress = arrival.ingress;
        black_box(ready.plane.receive(ingress, &mut arrival.frame(), NOW));
    }
    ready
}

#[library_benchmark]
#[bench::l2(l2())]
#[bench::nat_to_real(nat())]
#[bench::nat_to_client(to_client())]
#[bench::nat_to_real_by_ipv6(nat_by_ipv6())]
#[bench::direct_to_real(direct())]
#[bench::new_flow_wlc(new_flow(8, Scheduler::Wlc))]
#[bench::new_flow_wll(new_flow(64, Scheduler::Wll))]
fn batch(mut ready: Box<Ready>) -> Box<Ready> {
    let ingress = ready.arrivals[0].ingress;
    let mut frames = ready.arrivals.each_mut().map(Arrival::frame);
    let mut verdicts = frames.each_ref().map(|_| Verdict::Hold);
    ready.plane.receive_batch(ingress, &mut frames, &mut verdicts, NOW);
    black_box(verdicts);
    ready
}

library_benchmark_group!(name = frames, benchmarks = [single, batch]);
main!(library_benchmark_groups = frames);
