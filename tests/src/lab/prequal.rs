//! Prequal's rule: probes of requests in flight (RIF) and latency, and the hot/cold choice between
//! them (Wydrowski, Kleinberg, Rumble, Archer, "Load is not what you should balance: Introducing
//! Prequal", NSDI 2024, section 4; numbers are those of its evaluation).
//!
//! Each query triggers r_probe probes of guests drawn without repetition; their answers go to a
//! pool and serve later queries. The pool holds at most 16, one a guest, none older than a second;
//! it loses r_remove a query, the oldest and the worst in turn, and each probe after it was used
//! so often that the pool neither runs dry nor grows stale: max(1, (1 + δ) / ((1 − m/n) r_probe −
//! r_remove)) times, rounded by chance. A probe that is used counts one more in flight from then on.
//!
//! Hot is who has more in flight than the quantile Q_RIF of those last heard. Among cold ones the
//! least latency is taken, if all are hot the least in flight; the worst is the reverse. With less
//! than two probes in the pool a guest is drawn.
//!
//! **Where the paper leaves it open.** A pool as large as the number of guests makes the formula's
//! denominator negative: then a probe is used until something else removes it ([`REUSE_MAX`]). The
//! quantile is of the last [`HEARD`] answers, and a median of the last 16 latencies; with more of
//! them it is better at low load and worse at high load, with fewer the reverse.
//!
//! In favour of Prequal, an answer takes no time and is there for the next query. Where reports are
//! lost, as many probes are; where reports are late or rare, probes are not.

use std::collections::VecDeque;

use super::Scenario;
use super::chooser::Chooser;
use super::guest::Guest;
use super::random::Random;

const PROBES: usize = 3;
const REMOVES: usize = 1;
const POOL: usize = 16;
const AGE_NS: u64 = 1_000_000_000;
const DELTA: f64 = 1.0;
/// 2^-0.25.
const Q_RIF: f64 = 0.84;
/// Probes that are too few to choose by.
const TOO_FEW: usize = 2;
const REUSE_MAX: u32 = 16;
const HEARD: usize = 64;

pub struct Prequal {
    pool: Pool,
    random: Random,
    lost_percent: u32,
}

/// An answer to a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    pub guest: usize,
    pub at: u64,
    pub in_flight: u32,
    pub latency_ns: u64,
    pub uses: u32,
}

/// The probes by which is chosen, oldest first.
#[derive(Default)]
pub struct Pool {
    probes: Vec<Probe>,
    heard: VecDeque<u32>,
    removes_worst: bool,
}

impl Prequal {
    pub fn new(scenario: &Scenario, seed: u64) -> Prequal {
        let lost_percent = scenario.reports.lost_percent;
        Prequal { pool: Pool::default(), random: Random::new(seed, 6), lost_percent }
    }

    /// Asks some guests; who is gone does not answer.
    fn probe(&mut self, now: u64, guests: &[Guest]) {
        let mut asked = Vec::with_capacity(PROBES);
        while asked.len() < PROBES.min(guests.len()) {
            let guest = self.random.below(guests.len());
            if !asked.contains(&guest) {
                asked.push(guest);
            }
        }
        for at in asked {
            let (guest, is_lost) = (&guests[at], self.random.chance(self.lost_percent));
            if !guest.is_up || is_lost {
                continue;
            }
            let in_flight = if guest.lies { 0 } else { guest.in_flight() };
            // Who has answered nothing yet is worth a try.
            let latency = guest.latencies.estimate(in_flight, now).unwrap_or(0);
            let latency_ns = if guest.lies { 0 } else { latency };
            let uses = uses(guests.len(), &mut self.random);
            self.pool.take_in(Probe { guest: at, at: now, in_flight, latency_ns, uses });
        }
    }
}

/// How often a probe may be used among so many guests.
pub fn uses(guests: usize, random: &mut Random) -> u32 {
    let filled = POOL as f64 / guests as f64;
    let net = (1.0 - filled) * PROBES as f64 - REMOVES as f64;
    if net <= 0.0 {
        return REUSE_MAX;
    }
    let uses = ((1.0 + DELTA) / net).clamp(1.0, f64::from(REUSE_MAX));
    uses as u32 + u32::from(random.unit() < uses.fract())
}

impl Pool {
    pub fn take_in(&mut self, probe: Probe) {
        self.probes.retain(|other| other.guest != probe.guest);
        if self.probes.len() == POOL {
            self.probes.remove(0);
        }
        self.probes.push(probe);
        if self.heard.len() == HEARD {
            self.heard.pop_front();
        }
        self.heard.push_back(probe.in_flight);
    }

    /// Chooses by the pool and uses a probe up; `None` when there are too few.
    pub fn choose(&mut self, now: u64) -> Option<usize> {
        self.probes.retain(|probe| now - probe.at <= AGE_NS);
        if self.probes.len() < TOO_FEW {
            return None;
        }
        let hot = self.hot();
        let at = (0..self.probes.len()).min_by_key(|&at| rank(&self.probes[at], hot))?;
        let probe = &mut self.probes[at];
        let guest = probe.guest;
        probe.in_flight += 1;
        probe.uses -= 1;
        if probe.uses == 0 {
            self.probes.remove(at);
        }
        Some(guest)
    }

    /// What each query takes from the pool: the oldest and the worst in turn.
    pub fn remove(&mut self) {
        let hot = self.hot();
        let worst = (0..self.probes.len()).max_by_key(|&at| rank(&self.probes[at], hot));
        let at = if self.removes_worst { worst } else { Some(0) };
        self.removes_worst = !self.removes_worst;
        if let Some(at) = at.filter(|&at| at < self.probes.len()) {
            self.probes.remove(at);
        }
    }

    /// More in flight than this is hot.
    fn hot(&self) -> u32 {
        let mut heard: Vec<u32> = self.heard.iter().copied().collect();
        heard.sort_unstable();
        let at = (heard.len() as f64 * Q_RIF) as usize;
        heard.get(at.min(heard.len().saturating_sub(1))).copied().unwrap_or(u32::MAX)
    }
}

/// The better the smaller: cold ones by latency, then hot ones by what is in flight.
fn rank(probe: &Probe, hot: u32) -> (bool, u64) {
    match probe.in_flight > hot {
        false => (false, probe.latency_ns),
        true => (true, u64::from(probe.in_flight)),
    }
}

impl Chooser for Prequal {
    fn open(&mut self, _flow: usize, now: u64, guests: &[Guest]) -> Option<usize> {
        let chosen = self.pool.choose(now).filter(|&guest| guests[guest].is_up);
        let there: Vec<usize> = (0..guests.len()).filter(|&at| guests[at].is_up).collect();
        let drawn = chosen.or_else(|| there.get(self.random.below(there.len().max(1))).copied());
        for _ in 0..REMOVES {
            self.pool.remove();
        }
        self.probe(now, guests);
        drawn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(probes: &[(u32, u64)]) -> Pool {
        let mut pool = Pool::default();
        for (guest, &(in_flight, latency_ns)) in probes.iter().enumerate() {
            pool.take_in(Probe { guest, at: guest as u64, in_flight, latency_ns, uses: 2 });
        }
        pool
    }

    fn guests(pool: &Pool) -> Vec<usize> {
        pool.probes.iter().map(|probe| probe.guest).collect()
    }

    #[test]
    fn the_fastest_cold_one_is_taken_and_hot_is_above_the_quantile() {
        // Of 1, 2, 3, 4, 9 the quantile is 9·0.84 = the fifth: nobody is hot.
        let mut five = pool(&[(1, 50), (2, 40), (3, 30), (4, 20), (9, 10)]);
        assert_eq!((five.hot(), five.choose(5)), (9, Some(4)));
        // Now it is used, counts 10 in flight, and is hot.
        assert_eq!(five.choose(5), Some(3));
    }

    #[test]
    fn if_all_are_hot_the_least_in_flight_is_taken() {
        let mut two = pool(&[(8, 10), (7, 90)]);
        two.heard.clear();
        two.heard.extend([1; 64]);
        assert_eq!(two.choose(2), Some(1));
    }

    #[test]
    fn a_probe_serves_as_often_as_it_may_and_no_longer_than_a_second() {
        let mut three = pool(&[(1, 10), (1, 20), (1, 30)]);
        assert_eq!([three.choose(3), three.choose(3)].map(Option::unwrap), [0, 1]);
        let mut three = pool(&[(1, 10), (2, 20), (2, 30)]);
        three.probes[0].uses = 1;
        assert_eq!(three.choose(3), Some(0));
        assert_eq!(guests(&three), [1, 2]);
        assert_eq!(three.choose(AGE_NS + 1), Some(1), "that of guest 1 is a second old");
        assert_eq!(three.choose(AGE_NS + 2), None, "one is too few");
    }

    #[test]
    fn a_query_removes_the_oldest_and_the_worst_in_turn() {
        let mut four = pool(&[(1, 10), (1, 99), (1, 30), (1, 40)]);
        four.remove();
        assert_eq!(guests(&four), [1, 2, 3]);
        four.remove();
        assert_eq!(guests(&four), [2, 3]);
    }

    #[test]
    fn one_probe_a_guest_and_the_oldest_gives_way() {
        let mut pool = pool(&[(1, 10); POOL]);
        let probe = Probe { guest: 3, at: 99, in_flight: 5, latency_ns: 5, uses: 1 };
        pool.take_in(probe);
        assert_eq!((pool.probes.len(), pool.probes[POOL - 1]), (POOL, probe));
        pool.take_in(Probe { guest: 77, ..probe });
        assert_eq!((pool.probes.len(), pool.probes[0].guest), (POOL, 1));
    }

    #[test]
    fn reuse_follows_the_formula_where_it_is_defined() {
        let mut random = Random::new(1, 0);
        // 2 / ((1 - 16/100) 3 - 1) = 1.32.
        let mean = (0..10_000).map(|_| uses(100, &mut random)).sum::<u32>() as f64 / 10_000.0;
        assert!((mean - 1.316).abs() < 0.02, "{mean}");
        assert_eq!(uses(8, &mut random), REUSE_MAX);
    }
}
