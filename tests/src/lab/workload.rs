//! What clients ask for, all of it before the first of them is answered: flows and their requests,
//! in order of time. It is the same for whoever chooses.

use super::Scenario;
use super::random::Random;
use super::scenario::{Demand, OPENING, OPENING_S, WORK_MS};

/// From a SYN to the request that follows the handshake.
pub const HANDSHAKE_NS: u64 = 100_000;

const SECOND_NS: f64 = 1e9;
/// Of a flow with many requests, and of its calm and busy times.
const SESSION_S: f64 = 10.0;
const PHASE_S: f64 = 2.0;
/// Requests in a second; half of the time each.
const CALM: f64 = 2.0;
const BUSY: f64 = 18.0;
/// How long a client keeps a flow in case that it has another request.
const IDLE_S: f64 = 5.0;
/// Of ten requests one asks for a hundred times what the others do.
const SHORT: f64 = 1.0 / 10.9;

pub struct Workload {
    pub flows: Vec<Flow>,
    pub requests: Vec<Request>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Flow {
    /// When its SYN arrives.
    pub at: u64,
    pub requests: u32,
    /// How long its client keeps it open after the last answer.
    pub idle_ns: u64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Request {
    /// When it arrives at its guest.
    pub at: u64,
    pub flow: u32,
    /// Nanoseconds of a core of speed 1.
    pub work: f64,
}

impl Workload {
    pub fn new(scenario: &Scenario, seed: u64) -> Workload {
        let mut random = Random::new(seed, 1);
        let mut workload = Workload { flows: Vec::new(), requests: Vec::new() };
        let per_flow = match scenario.demand {
            Demand::Exponential | Demand::KeptOpen | Demand::Bimodal => 1.0,
            Demand::Sessions => SESSION_S * (CALM + BUSY) / 2.0,
        };
        let gap_ns = SECOND_NS * per_flow / scenario.rate();
        let end = u64::from(scenario.end_s()) * SECOND_NS as u64;
        let mut now = 0;
        loop {
            let is_opening = now < u64::from(OPENING_S) * SECOND_NS as u64;
            let gap_ns = if is_opening { gap_ns / OPENING } else { gap_ns };
            now += (random.exponential() * gap_ns) as u64;
            if now >= end {
                break;
            }
            workload.flow(now, scenario.demand, &mut random);
        }
        workload.requests.retain(|request| request.at < end);
        workload.requests.sort_by_key(|request| request.at);
        for flow in &mut workload.flows {
            flow.requests = 0;
        }
        for request in &workload.requests {
            workload.flows[request.flow as usize].requests += 1;
        }
        workload
    }

    /// One flow from its beginning to its end.
    fn flow(&mut self, at: u64, demand: Demand, random: &mut Random) {
        let flow = self.flows.len() as u32;
        let seconds = |random: &mut Random, mean| (random.exponential() * mean * SECOND_NS) as u64;
        let idle_ns = match demand {
            Demand::KeptOpen => seconds(random, IDLE_S),
            Demand::Exponential | Demand::Bimodal | Demand::Sessions => 0,
        };
        self.flows.push(Flow { at, requests: 0, idle_ns });
        let mut ask = |at, parts: f64| {
            self.requests.push(Request { at, flow, work: parts * WORK_MS * 1e6 });
        };
        let first = at + HANDSHAKE_NS;
        match demand {
            Demand::Exponential | Demand::KeptOpen => ask(first, random.exponential()),
            Demand::Bimodal => {
                let times = if random.below(10) == 0 { 100.0 } else { 1.0 };
                ask(first, times * SHORT);
            }
            Demand::Sessions => {
                let end = first + seconds(random, SESSION_S);
                let mut busy = random.below(2) == 0;
                let mut phase_end = first + seconds(random, PHASE_S);
                let mut now = first;
                while now <= end {
                    ask(now, random.exponential());
                    loop {
                        let rate = if busy { BUSY } else { CALM };
                        let next = now + seconds(random, 1.0 / rate);
                        if next < phase_end {
                            now = next;
                            break;
                        }
                        // Exponential times have no memory: the rest is drawn anew.
                        (now, busy) = (phase_end, !busy);
                        phase_end = now + seconds(random, PHASE_S);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_demand_asks_for_the_load_that_it_is_to_ask_for() {
        for demand in Demand::ALL {
            let scenario = Scenario { demand, measure_s: 1000, ..Scenario::new("test", 4, 70) };
            let workload = Workload::new(&scenario, 1);
            let work: f64 = workload.requests.iter().map(|request| request.work).sum();
            let capacity = 4.0 * 2.0 * f64::from(scenario.end_s()) * SECOND_NS;
            let load = work / capacity * 100.0;
            assert!((load / 70.0 - 1.0).abs() < 0.05, "{demand:?}: {load} %");
        }
    }

    #[test]
    fn flows_and_requests_come_in_order_and_belong_together() {
        let scenario = Scenario { demand: Demand::Sessions, ..Scenario::new("test", 4, 70) };
        let Workload { flows, requests } = Workload::new(&scenario, 1);
        assert!(flows.is_sorted_by_key(|flow| flow.at));
        assert!(requests.is_sorted_by_key(|request| request.at));
        let asked: u32 = flows.iter().map(|flow| flow.requests).sum();
        assert_eq!(asked as usize, requests.len());
        for request in &requests {
            assert!(request.at >= flows[request.flow as usize].at + HANDSHAKE_NS);
        }
    }
}
