//! Time: what happens next in the made-up world, until everything that was asked is answered.
//!
//! ```text
//!   flows ─────▶ SYN: a guest is chosen          guests ──▶ the next request that is done
//!   requests ──▶ handshake, work for the guest    agenda ──▶ reports, strokes of fate, ticks
//! ```
//!
//! Of what happens at one instant, requests end first, then the agenda goes on, then flows and
//! requests come. Reports and ticks stop when nobody comes any more.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use lb::guest::report::{Fraction, HealthWord, LoadReport, Numbers, Rate};

use super::chooser::Chooser;
use super::guest::{Guest, Totals};
use super::measure::{Measure, Outcome};
use super::random::Random;
use super::scenario::{Reports, Scenario, Voice, What};
use super::workload::Workload;

const SECOND_NS: u64 = 1_000_000_000;
const TICK_NS: u64 = 10_000_000;
/// A guest that is back is so many times slower at first.
const COLD: f64 = 3.0;
/// And warms up in so many steps.
const WARMINGS: u32 = 20;

pub struct World<'a> {
    scenario: &'a Scenario,
    workload: &'a Workload,
    chooser: Box<dyn Chooser>,
    guests: Vec<Guest>,
    agents: Vec<Agent>,
    flows: Vec<State>,
    agenda: BinaryHeap<Reverse<(u64, u64, Entry)>>,
    /// Entries made, so that those of one instant keep their order.
    entries: u64,
    measure: Measure,
}

/// Where a flow is: nowhere before it begins and after it ended.
#[derive(Clone, Copy)]
struct State {
    guest: Option<u8>,
    /// Requests that are yet to come, and those that are to be answered.
    to_come: u32,
    in_flight: u32,
}

/// One guest's, that looks back at each report to the one before.
struct Agent {
    random: Random,
    life: u64,
    seq: u32,
    looked_at: u64,
    before: Totals,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Entry {
    /// A guest's agent looks and writes.
    Look {
        guest: usize,
    },
    /// What it wrote arrives.
    Arrives {
        guest: usize,
        line: String,
    },
    /// A client that has waited idly ends its flow.
    Closes {
        flow: usize,
    },
    /// A stroke of guest 0's fate.
    Strikes {
        number: usize,
    },
    /// It has warmed up a bit.
    Warms {
        step: u32,
        of_ns: u64,
    },
    Tick,
    /// What is measured begins, and ends.
    Measures {
        begins: bool,
    },
}

impl<'a> World<'a> {
    pub fn new(
        scenario: &'a Scenario,
        workload: &'a Workload,
        chooser: Box<dyn Chooser>,
        seed: u64,
    ) -> World<'a> {
        let guests = (0..scenario.guests).map(|at| Guest::new(scenario.speed(at)));
        let agents = (0..scenario.guests).map(|at| Agent::new(seed, at));
        let state = |requests| State { guest: None, to_come: requests, in_flight: 0 };
        let mut world = World {
            scenario,
            workload,
            chooser,
            guests: guests.collect(),
            agents: agents.collect(),
            flows: workload.flows.iter().map(|flow| state(flow.requests)).collect(),
            agenda: BinaryHeap::new(),
            entries: 0,
            measure: Measure::new(scenario, workload.requests.len()),
        };
        world.guests[0].lies = scenario.liar;
        world.plan();
        world
    }

    fn plan(&mut self) {
        let period = u64::from(self.scenario.reports.period_ms) * 1_000_000;
        for guest in 0..self.guests.len() {
            let first = self.agents[guest].random.unit() * period as f64;
            self.enter(first as u64, Entry::Look { guest });
        }
        for (number, stroke) in self.scenario.fate.iter().enumerate() {
            self.enter(u64::from(stroke.at_s) * SECOND_NS, Entry::Strikes { number });
        }
        self.enter(TICK_NS, Entry::Tick);
        let begin = u64::from(self.scenario.settle_s) * SECOND_NS;
        self.enter(begin, Entry::Measures { begins: true });
        self.enter(self.end(), Entry::Measures { begins: false });
    }

    fn end(&self) -> u64 {
        u64::from(self.scenario.end_s()) * SECOND_NS
    }

    fn enter(&mut self, at: u64, entry: Entry) {
        self.entries += 1;
        self.agenda.push(Reverse((at, self.entries, entry)));
    }

    /// Until the last request is answered or cut.
    pub fn run(mut self) -> Outcome {
        let Workload { flows, requests } = self.workload;
        let (mut next_flow, mut next_request) = (0, 0);
        let mut ends = vec![u64::MAX; self.guests.len()];
        loop {
            let (done, done_at) = first(&ends);
            let entry_at = self.agenda.peek().map_or(u64::MAX, |Reverse((at, ..))| *at);
            let flow_at = flows.get(next_flow).map_or(u64::MAX, |flow| flow.at);
            let request_at = requests.get(next_request).map_or(u64::MAX, |request| request.at);
            let now = done_at.min(entry_at).min(flow_at).min(request_at);
            if now == u64::MAX {
                return self.measure.outcome(self.scenario);
            }
            let touched = if done_at == now {
                self.finish(done, now);
                Some(done)
            } else if entry_at == now {
                self.meet(now);
                Some(0)
            } else if flow_at == now {
                self.open(next_flow, now);
                next_flow += 1;
                None
            } else {
                next_request += 1;
                self.ask(next_request - 1, now)
            };
            if let Some(guest) = touched {
                ends[guest] = self.guests[guest].next_end();
            }
        }
    }

    fn open(&mut self, flow: usize, now: u64) {
        let guest = self.chooser.open(flow, now, &self.guests);
        self.flows[flow].guest = guest.map(|guest| guest as u8);
        let in_flight = self.guests.iter().map(Guest::in_flight);
        self.measure.opened(guest, now, in_flight);
    }

    /// The guest that has more to do now.
    fn ask(&mut self, request: usize, now: u64) -> Option<usize> {
        let asked = self.workload.requests[request];
        let flow = asked.flow as usize;
        let first = self.workload.flows[flow].requests == self.flows[flow].to_come;
        self.flows[flow].to_come -= 1;
        let Some(guest) = self.flows[flow].guest.map(usize::from) else {
            self.measure.lost(now);
            return None;
        };
        self.flows[flow].in_flight += 1;
        self.chooser.request(flow, guest, first, now);
        self.guests[guest].add(request as u32, asked.work, now);
        Some(guest)
    }

    fn finish(&mut self, guest: usize, now: u64) {
        let job = self.guests[guest].finish(now);
        let flow = self.workload.requests[job.request as usize].flow as usize;
        let state = &mut self.flows[flow];
        state.in_flight -= 1;
        let is_last = state.in_flight == 0 && state.to_come == 0;
        self.chooser.response(flow, guest, now);
        self.measure.answered(guest, job.began, now);
        match self.workload.flows[flow].idle_ns {
            _ if !is_last => {}
            0 => self.close(flow, now),
            idle_ns => self.enter(now + idle_ns, Entry::Closes { flow }),
        }
    }

    /// A flow ends whose requests are all answered, unless it was cut meanwhile.
    fn close(&mut self, flow: usize, now: u64) {
        if let Some(guest) = self.flows[flow].guest.take() {
            self.chooser.close(flow, guest.into(), now);
        }
    }

    /// What the agenda has for now.
    fn meet(&mut self, now: u64) {
        let Some(Reverse((_, _, entry))) = self.agenda.pop() else {
            return;
        };
        let is_over = now >= self.end();
        match entry {
            Entry::Look { .. } | Entry::Arrives { .. } | Entry::Tick if is_over => {}
            Entry::Look { guest } => self.look(guest, now),
            Entry::Arrives { guest, line } if self.guests[guest].is_up => {
                self.chooser.report(guest, &line, now);
            }
            Entry::Arrives { .. } => {}
            Entry::Closes { flow } => self.close(flow, now),
            Entry::Strikes { number } => self.strike(self.scenario.fate[number].what, now),
            Entry::Warms { step, of_ns } => self.warm(step, of_ns, now),
            Entry::Tick => {
                self.chooser.tick(now, &self.guests);
                self.enter(now + TICK_NS, Entry::Tick);
            }
            Entry::Measures { begins } => {
                self.guests.iter_mut().for_each(|guest| guest.pass(now));
                self.measure.totals(begins, self.guests.iter().map(Guest::totals));
            }
        }
    }

    fn look(&mut self, guest: usize, now: u64) {
        let Reports { voice, period_ms, lost_percent, late_ms } = self.scenario.reports;
        let agent = &mut self.agents[guest];
        // Drawn whether it matters or not: what else is drawn stays the same.
        let is_lost = agent.random.chance(lost_percent);
        let late_ns = (agent.random.unit() * f64::from(late_ms) * 1e6) as u64;
        self.guests[guest].pass(now);
        let line = agent.line(&self.guests[guest], voice, now);
        self.enter(now + u64::from(period_ms) * 1_000_000, Entry::Look { guest });
        if self.guests[guest].is_up && !is_lost {
            self.enter(now + late_ns, Entry::Arrives { guest, line });
        }
    }

    fn strike(&mut self, what: What, now: u64) {
        self.guests[0].pass(now);
        match what {
            What::Hog { percent } => self.guests[0].hog = f64::from(percent) / 100.0,
            What::Gone => self.cut(now),
            What::Back { cold_s } => {
                self.guests[0].is_up = true;
                self.agents[0].life += 1;
                self.agents[0].seq = 0;
                self.chooser.link(0, true, now);
                let of_ns = u64::from(cold_s) * SECOND_NS / u64::from(WARMINGS);
                self.warm(0, of_ns, now);
            }
        }
    }

    /// Guest 0 is gone, and clients notice.
    fn cut(&mut self, now: u64) {
        let lost = self.guests[0].cut(now).len();
        (0..lost).for_each(|_| self.measure.lost(now));
        for flow in 0..self.flows.len() {
            let state = &mut self.flows[flow];
            if state.guest == Some(0) {
                (state.guest, state.in_flight) = (None, 0);
                self.chooser.cut(flow, 0, now);
            }
        }
        self.guests[0].is_up = false;
        self.chooser.link(0, false, now);
    }

    fn warm(&mut self, step: u32, of_ns: u64, now: u64) {
        self.guests[0].pass(now);
        let cold = 1.0 - f64::from(step) / f64::from(WARMINGS);
        self.guests[0].slowed = 1.0 + (COLD - 1.0) * cold;
        if step < WARMINGS {
            self.enter(now + of_ns, Entry::Warms { step: step + 1, of_ns });
        }
    }
}

impl Agent {
    fn new(seed: u64, guest: usize) -> Agent {
        let mut random = Random::new(seed, 1000 + guest as u64);
        let life = random.bits();
        Agent { random, life, seq: 0, looked_at: 0, before: Totals::default() }
    }

    /// The line of a report, by the encoder that the agent uses.
    fn line(&mut self, guest: &Guest, voice: Voice, now: u64) -> String {
        let (before, after) = (self.before, guest.totals());
        let time = (now - self.looked_at).max(1) as f64;
        (self.before, self.looked_at) = (after, now);
        self.seq += 1;
        let busy = (after.busy_ns - before.busy_ns) / time;
        let waited = (after.crowded_ns - before.crowded_ns) / time;
        let requests = after.requests - before.requests;
        let latency_ns = after.latency_ns - before.latency_ns;
        let honest = match voice {
            Voice::Cpu => Numbers { cpu: Some(part(busy)), ..Numbers::default() },
            Voice::Agent => {
                Numbers { cpu: Some(part(busy * (1.0 + waited))), ..Numbers::default() }
            }
            Voice::Application => Numbers {
                cpu: Some(part(busy)),
                requests_in_flight: Some(guest.in_flight()),
                latency_us: Some((latency_ns / requests.max(1) / 1000) as u32),
                requests: Some(Rate::from_thousandths((requests as f64 / time * 1e12) as u64)),
                errors: Some(Rate::from_thousandths(0)),
                ..Numbers::default()
            },
        };
        let lie = Numbers {
            cpu: Some(Fraction::ZERO),
            requests_in_flight: honest.requests_in_flight.map(|_| 0),
            latency_us: honest.latency_us.map(|_| 0),
            ..honest
        };
        let report = LoadReport {
            health: Some(HealthWord::Up),
            id: Some(self.life),
            seq: Some(self.seq),
            numbers: if guest.lies { lie } else { honest },
            ..LoadReport::default()
        };
        report.to_string()
    }
}

/// With three places, as the agent says it.
fn part(of_one: f64) -> Fraction {
    Fraction::from_millionths((of_one * 1000.0).round() as u64 * 1000)
}

/// The first of the least.
fn first(ends: &[u64]) -> (usize, u64) {
    let least = ends.iter().copied().min().unwrap_or(u64::MAX);
    (ends.iter().position(|&end| end == least).unwrap_or(0), least)
}
