//! A small world from a seed: guests whose CPU is the work that they were given, agents that
//! measure it and report every half second or less often, with jitter and loss, clients that come
//! as they like. What is asserted are shares over seconds, not single choices.

use core::time::Duration;
use std::vec::Vec;

use super::*;
use crate::Agent;
use crate::guest::report::{Fraction, LoadReport};
use crate::service::RealCounters;
use crate::tables::SLICE;

const STEP_MS: u64 = 1;

/// xorshift64*: the same numbers everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 33) % bound
    }
}

/// What one flow asks of its guest.
#[derive(Clone, Copy)]
enum Work {
    /// So many microseconds of one CPU, then it ends.
    Short { cpu_us: u64 },
    /// A part of one CPU, as long as it lasts.
    Long { cpu_us_per_ms: u64, lasts_ms: u64 },
}

struct Flow {
    started: Instant,
    work: Work,
    /// Of a short flow.
    left_us: u64,
}

/// How a guest's agent reports.
enum Habit {
    Honest,
    Silent,
    /// Says this of the report with this number, whatever the load.
    Liar(fn(u32) -> Fraction),
    /// Says so many per cent of its load and of its requests in flight.
    Modest {
        load: u64,
        in_flight: u64,
    },
}

struct Guest {
    /// CPU time in a millisecond: 1000 for one CPU.
    capacity_us: u64,
    /// CPU time in a millisecond that another program wants.
    hog_us: u64,
    habit: Habit,
    flows: Vec<Flow>,
    load: RealLoad,
    counters: RealCounters,
    used_us: u64,
    report_due: Instant,
    /// How often its agent reports, a tenth more or less.
    period_ms: u64,
    reported_at: Instant,
    seq: u32,
    given: u32,
}

struct World {
    random: Random,
    now: Instant,
    guests: Vec<Guest>,
    /// Kept as the switch keeps it, and since when; none after a report.
    board: Board,
    made_at: Option<Instant>,
    by: Scheduler,
    /// Reports that are lost, in per cent.
    loss: u64,
    /// How long flows lasted that have ended, in milliseconds.
    lasted_ms: Vec<u64>,
}

impl Guest {
    fn new(capacity_us: u64) -> Guest {
        Guest {
            capacity_us,
            hog_us: 0,
            habit: Habit::Honest,
            flows: Vec::new(),
            load: RealLoad::default(),
            counters: RealCounters::default(),
            used_us: 0,
            report_due: Instant::START,
            period_ms: 500,
            reported_at: Instant::START,
            seq: 0,
            given: 0,
        }
    }

    /// One millisecond: all that want the CPU get the same part of it.
    fn run(&mut self, now: Instant, lasted_ms: &mut Vec<u64>) {
        let mut wants: Vec<u64> = self.flows.iter().map(Flow::wants_us).collect();
        wants.push(self.hog_us);
        let gets = fair(self.capacity_us * STEP_MS, &wants);
        self.used_us += gets.iter().sum::<u64>();
        for (flow, got) in self.flows.iter_mut().zip(gets) {
            flow.left_us = flow.left_us.saturating_sub(got);
        }
        let counters = &mut self.counters;
        self.flows.retain(|flow| {
            let open = !flow.is_over(now);
            if !open {
                lasted_ms.push(now.since(flow.started).as_millis() as u64);
                counters.flows_open -= 1;
                counters.flows_waiting -= 1;
                counters.flows_ended += 1;
            }
            open
        });
    }

    fn report(&mut self, now: Instant, lost: bool) {
        let span_us = now.since(self.reported_at).as_micros() as u64 * self.capacity_us / 1000;
        let cpu = Fraction::ratio(self.used_us, span_us);
        (self.used_us, self.reported_at) = (0, now);
        self.seq += 1;
        if lost {
            return;
        }
        let mut rif = u64::from(self.counters.flows_waiting);
        let cpu = match self.habit {
            Habit::Honest => cpu,
            Habit::Silent => return,
            Habit::Liar(says) => says(self.seq),
            Habit::Modest { load, in_flight } => {
                rif = rif * in_flight / 100;
                Fraction::ratio(u64::from(cpu.millionths()) * load, 100_000_000)
            }
        };
        let line = std::format!("up id=1 seq={} cpu={cpu} rif={rif}", self.seq);
        let report = LoadReport::parse(line.as_bytes()).unwrap();
        self.load.accept(&report, now, &self.counters, Agent::Push).unwrap();
    }
}

impl Flow {
    fn wants_us(&self) -> u64 {
        match self.work {
            Work::Short { .. } => self.left_us,
            Work::Long { cpu_us_per_ms, .. } => cpu_us_per_ms * STEP_MS,
        }
    }

    fn is_over(&self, now: Instant) -> bool {
        match self.work {
            Work::Short { .. } => self.left_us == 0,
            Work::Long { lasts_ms, .. } => {
                now.since(self.started) >= Duration::from_millis(lasts_ms)
            }
        }
    }
}

/// Divides `capacity` so that nobody gets more than it wants and nobody less than another that
/// wants more.
fn fair(capacity: u64, wants: &[u64]) -> Vec<u64> {
    let mut order: Vec<usize> = (0..wants.len()).collect();
    order.sort_by_key(|&at| wants[at]);
    let mut gets = std::vec![0; wants.len()];
    let mut left = capacity;
    for (done, &at) in order.iter().enumerate() {
        gets[at] = wants[at].min(left / (wants.len() - done) as u64);
        left -= gets[at];
    }
    gets
}

impl World {
    fn new(seed: u64, capacities_us: &[u64]) -> World {
        let mut random = Random(seed * 2 + 1);
        let now = Instant::from_millis(10_000);
        let mut guests: Vec<Guest> = capacities_us.iter().map(|&us| Guest::new(us)).collect();
        for guest in &mut guests {
            guest.report_due = now + Duration::from_millis(random.below(500));
            guest.reported_at = now;
        }
        let (board, lasted_ms) = (Board::new(), Vec::new());
        World { random, now, guests, board, made_at: None, by: Scheduler::Wll, loss: 0, lasted_ms }
    }

    /// Runs for `ms`; every millisecond `per_second` flows a second begin, at random.
    fn run(&mut self, ms: u64, per_second: u64, work: Work) {
        for _ in 0..ms {
            for _ in 0..4 {
                if self.random.below(4_000) < per_second {
                    self.arrive(work);
                }
            }
            self.now = self.now + Duration::from_millis(STEP_MS);
            for at in 0..self.guests.len() {
                self.guests[at].run(self.now, &mut self.lasted_ms);
                self.look_at(at);
                if self.now >= self.guests[at].report_due {
                    let lost = self.random.below(100) < self.loss;
                    let period_ms = self.guests[at].period_ms;
                    let jitter = self.random.below(period_ms / 5);
                    self.guests[at].report(self.now, lost);
                    self.made_at = None;
                    let wait_ms = period_ms * 9 / 10 + jitter;
                    self.guests[at].report_due = self.now + Duration::from_millis(wait_ms);
                }
            }
        }
    }

    /// Makes the board that the next flow needs, if the one of before is not of this slice.
    fn make_board(&mut self) {
        if self.made_at.is_none_or(|at| self.now.since(at) > SLICE) {
            let candidates: Vec<Candidate<'_>> =
                (0..self.guests.len()).map(|at| self.candidate(at)).collect();
            let mut board = Board::new();
            board.make(self.by, &candidates, self.now);
            (self.board, self.made_at) = (board, Some(self.now));
        }
    }

    /// Takes in what has become of a guest's flows.
    fn look_at(&mut self, at: usize) {
        if self.made_at.is_some() {
            let mut board = core::mem::take(&mut self.board);
            board.update(at, &self.candidate(at));
            self.board = board;
        }
    }

    fn candidate(&self, index: usize) -> Candidate<'_> {
        let guest = &self.guests[index];
        Candidate {
            real: RealId(index as u16),
            weight: guest.load.effective_weight(100, self.now),
            weight_set: 100,
            name: NameHash::of(&std::format!("guest{index}").parse().unwrap()),
            flows_open: guest.counters.flows_open,
            flows_waiting: guest.counters.flows_waiting,
            answer_time: None,
            load: &guest.load,
        }
    }

    /// A flow comes and is given to whom the scheduler chooses.
    fn arrive(&mut self, work: Work) {
        self.make_board();
        let dice = self.random.next() >> 32;
        let key = FlowHash::of_client(core::net::Ipv4Addr::from_bits(dice as u32).into());
        let arrival = Arrival { now: self.now, dice, key };
        let real = self.board.choose(&arrival).unwrap();
        let guest = &mut self.guests[real.index()];
        let left_us = match work {
            Work::Short { cpu_us } => cpu_us,
            Work::Long { .. } => 0,
        };
        guest.flows.push(Flow { started: self.now, work, left_us });
        guest.load.asked(self.now);
        guest.counters.flows_open += 1;
        guest.counters.flows_waiting += 1;
        guest.counters.flows_new += 1;
        guest.given += 1;
        self.look_at(real.index());
    }

    /// Runs until reports and flows have found their balance, and forgets what was given.
    fn settle(&mut self, per_second: u64, work: Work) {
        self.run(5_000, per_second, work);
        self.shares();
        self.lasted_ms.clear();
    }

    /// How long all but one in a hundred of the ended flows lasted at most, in milliseconds.
    fn p99_ms(&mut self) -> u64 {
        let mut lasted = core::mem::take(&mut self.lasted_ms);
        lasted.sort_unstable();
        lasted[lasted.len() * 99 / 100]
    }

    fn flows_open_max(&self) -> usize {
        self.guests.iter().map(|guest| guest.flows.len()).max().unwrap_or(0)
    }

    /// Per cent of the flows that each guest was given since the last call.
    fn shares(&mut self) -> Vec<u32> {
        let all: u32 = self.guests.iter().map(|guest| guest.given).sum();
        self.guests.iter_mut().map(|guest| std::mem::take(&mut guest.given) * 100 / all).collect()
    }
}

mod liars;
mod periods;

const SHORT: Work = Work::Short { cpu_us: 5_000 };

#[test]
fn one_seed_is_one_world() {
    let given = |seed| {
        let mut world = World::new(seed, &[1000, 1000, 2000]);
        world.loss = 10;
        world.run(5_000, 300, SHORT);
        world.guests.iter().map(|guest| guest.given).collect::<Vec<_>>()
    };
    assert_eq!(given(1), given(1));
    assert_ne!(given(1), given(2));
}

#[test]
fn equal_guests_get_equal_shares_whatever_the_flows() {
    let long = Work::Long { cpu_us_per_ms: 30, lasts_ms: 5_000 };
    let cases = [
        ("few", 20, SHORT, 10),
        ("some", 300, SHORT, 2),
        ("nearly too many", 540, SHORT, 2),
        ("tiny", 2_000, Work::Short { cpu_us: 100 }, 2),
        ("fat", 10, Work::Short { cpu_us: 200_000 }, 10),
        ("long", 10, long, 10),
        ("open and idle", 300, Work::Long { cpu_us_per_ms: 0, lasts_ms: 3_000 }, 2),
    ];
    for (what, per_second, work, slack) in cases {
        for seed in 1..3 {
            let mut world = World::new(seed, &[1000; 3]);
            world.settle(per_second, work);
            world.run(10_000, per_second, work);
            let shares = world.shares();
            assert!(
                shares.iter().all(|share| share.abs_diff(33) <= slack),
                "{what}, seed {seed}: {shares:?}"
            );
        }
    }
}

#[test]
fn shares_follow_capacity() {
    let long = Work::Long { cpu_us_per_ms: 30, lasts_ms: 5_000 };
    // Twice the capacity, twice the flows, and more where there is time: who is quick is asked first.
    let cases: [(&str, &[u64], u64, Work, u32); 5] = [
        ("half full", &[1000, 2000], 300, SHORT, 450),
        ("nearly full", &[1000, 2000], 540, SHORT, 240),
        ("tiny flows", &[1000, 2000], 3_500, Work::Short { cpu_us: 500 }, 450),
        ("three sizes", &[1000, 2000, 4000], 1_000, SHORT, 450),
        ("long flows", &[1000, 2000], 10, long, 225),
    ];
    for (what, capacities, per_second, work, most) in cases {
        let mut world = World::new(7, capacities);
        world.settle(per_second, work);
        world.run(20_000, per_second, work);
        let shares = world.shares();
        for pair in shares.windows(2) {
            let ratio = pair[1] * 100 / pair[0];
            assert!((140..=most).contains(&ratio), "{what}: {shares:?}");
        }
        assert!(world.flows_open_max() < 150, "{what}: a queue of {}", world.flows_open_max());
    }
}

#[test]
fn a_loaded_guest_loses_most_of_its_share_and_gets_it_back_without_swinging() {
    for seed in 1..5 {
        let mut world = World::new(seed, &[1000; 3]);
        world.settle(200, SHORT);
        world.guests[0].hog_us = 100_000;
        world.run(2_000, 200, SHORT);
        world.shares();
        for half_second in 0..10 {
            world.run(500, 200, SHORT);
            let shares = world.shares();
            let at = std::format!("seed {seed}, half second {half_second}: {shares:?}");
            assert!(shares[0] <= 12, "{at}");
            assert!(shares[1].abs_diff(shares[2]) <= 16, "{at}");
        }
        world.guests[0].hog_us = 0;
        world.run(3_000, 200, SHORT);
        world.shares();
        for half_second in 0..10 {
            world.run(500, 200, SHORT);
            let shares = world.shares();
            assert!(
                shares.iter().all(|share| (24..=43).contains(share)),
                "seed {seed}, half second {half_second} after: {shares:?}"
            );
        }
    }
}

#[test]
fn a_burst_is_shared_whenever_it_comes() {
    for seed in 1..20 {
        let mut world = World::new(seed, &[1000; 3]);
        world.settle(100, SHORT);
        world.run(seed * 37, 100, SHORT);
        world.shares();
        (0..60).for_each(|_| world.arrive(SHORT));
        let shares = world.shares();
        assert!(shares.iter().all(|&share| share <= 45), "seed {seed}: {shares:?}");
    }
}

#[test]
fn l8_lost_reports_cost_little_and_without_any_it_is_wlc() {
    let mut world = World::new(3, &[1000, 1000, 2000]);
    world.loss = 30;
    world.settle(300, SHORT);
    world.run(10_000, 300, SHORT);
    let shares = world.shares();
    assert!(shares[2] >= 38 && shares[0].abs_diff(shares[1]) <= 6, "{shares:?}");

    // All lost: long flows that are open alike at all, though one guest is twice as large.
    world.loss = 100;
    let long = Work::Long { cpu_us_per_ms: 10, lasts_ms: 3_000 };
    world.settle(20, long);
    world.run(10_000, 20, long);
    let shares = world.shares();
    assert!(shares.iter().all(|share| share.abs_diff(33) <= 3), "{shares:?}");
}

#[test]
fn l8_a_silent_guest_beside_reporting_ones_gets_an_average_share() {
    let mut world = World::new(3, &[1000; 4]);
    world.guests[3].habit = Habit::Silent;
    world.settle(300, SHORT);
    world.run(10_000, 300, SHORT);
    let shares = world.shares();
    assert!(shares.iter().all(|share| share.abs_diff(25) <= 3), "{shares:?}");
}

#[test]
fn l10_a_guest_that_alternates_between_nothing_and_everything_swings_the_others_little() {
    let mut world = World::new(3, &[1000; 4]);
    world.guests[0].habit =
        Habit::Liar(|seq| if seq % 2 == 0 { Fraction::ZERO } else { Fraction::ONE });
    world.settle(300, SHORT);
    for _ in 0..20 {
        world.run(500, 300, SHORT);
        let shares = world.shares();
        assert!(shares[1..].iter().all(|share| (15..=40).contains(share)), "{shares:?}");
    }
}
