//! What one real's reports say, how old they are, and what became of its flows since.
//!
//! A report is the whole state and replaces the one before. By our own clock it is *fresh* for
//! two of its agent's intervals ([`pace`]), *ageing* to five, *stale* to ten, then *expired*. The scheduler trusts its
//! numbers less as it ages; the weight it asked for holds until it expires; its words (`drain`,
//! `down` …) outlive the numbers for the report's `ttl`, because an agent that said "I am being
//! taken out" and then was stopped meant it. Afterwards only our own checks speak.
//!
//! Reports may overtake one another. Within one life (`id`) only a newer `seq` counts, by
//! comparison that survives the wrap; another `id`, or the silence that let the last report
//! expire, begins a new life. The time in a report is never looked at: it arrived when it arrived.
//!
//! A report is a look back. What stays true of it is how much work a real gets done: its
//! [`Experience`]; see [`crate::service::sched`] for what is made of it.

mod experience;
mod pace;
mod rate;
mod window;

pub use experience::Experience;
pub use pace::{INTERVAL, INTERVAL_MAX};
pub use rate::RateLimit;
pub use window::{ASKED_WITHIN, MilliFlows};

use core::fmt;
use core::time::Duration;

use crate::guest::report::{Fraction, HealthWord, LoadReport, Numbers, Share, Ttl};
use crate::service::RealCounters;
use crate::service::ramp::Percent;
use crate::{AdminState, Agent, Instant};
use experience::Heard;
use pace::Pace;
use window::Window;

/// One real's reports and the flows that it was given.
#[derive(Clone, Debug, Default)]
pub struct RealLoad {
    last: Option<Taken>,
    pace: Pace,
    asked: Window,
    asked_since_report: u32,
    experience: Option<Experience>,
}

/// How far a report can be trusted, by its age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Up to 2 intervals: the numbers hold.
    Fresh,
    /// Up to 5: the numbers slide to what the weight says.
    Ageing,
    /// Up to 10: the numbers are ignored.
    Stale,
    /// The weight is the configured one again; the words hold for their ttl.
    Expired,
}

/// What the agent wants, the weightier word first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AgentWord {
    /// It does not work: `down`, `stopped` or `fail`.
    Down,
    Maint,
    Drain,
    Up,
}

/// A share of new flows, in thousandths of a configured weight of 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct EffectiveWeight(u32);

/// Flows between two reports, as the answer to the later one tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowsBetween {
    pub new: u64,
    pub ended: u64,
}

/// Why a well-formed report changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportRefusal {
    /// Its `seq` is not newer than the last one of this life.
    Old { seq: u32, last: u32 },
}

/// What a report says about load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reported {
    /// As the last report had it.
    pub load: Fraction,
    /// Each report counts half, the one before a quarter, and so on.
    pub smoothed: Fraction,
}

/// The last report that counted.
#[derive(Clone, Debug)]
struct Taken {
    at: Instant,
    id: Option<u64>,
    seq: Option<u32>,
    word: Option<AgentWord>,
    share: Option<Share>,
    flows_max: Option<u32>,
    numbers: Numbers,
    ttl: Ttl,
    reason: heapless::String<{ RealLoad::REASON_BYTES_MAX }>,
    reported: Option<Reported>,
    counters: RealCounters,
}

impl RealLoad {
    /// What is kept of a reason; the rest is cut off.
    pub const REASON_BYTES_MAX: usize = 64;

    /// Takes a report whole, or refuses it and changes nothing.
    pub fn accept(
        &mut self,
        report: &LoadReport<'_>,
        now: Instant,
        counters: &RealCounters,
        agent: Agent,
    ) -> Result<FlowsBetween, ReportRefusal> {
        let life = self.unexpired(now).filter(|last| last.id == report.id);
        if let (Some(seq), Some(last)) = (report.seq, life.and_then(|last| last.seq))
            && !is_newer(seq, last)
        {
            return Err(ReportRefusal::Old { seq, last });
        }
        let before = life.and_then(|last| last.reported);
        let reported = load_of(&report.numbers).map(|load| Reported::after(before, load));
        let counted = self.last.as_ref().map(|last| last.counters).unwrap_or_default();
        if let Some(reported) = reported {
            let flows_waiting = counters.flows_waiting;
            let in_flight = report.numbers.requests_in_flight.unwrap_or(flows_waiting);
            self.learn(before, Heard { load: reported.load, in_flight, flows_waiting }, now);
        }
        self.pace.heard(self.age(now), agent);
        self.asked_since_report = 0;
        self.last = Some(Taken {
            at: now,
            id: report.id,
            seq: report.seq,
            word: word_of(report),
            share: report.share,
            flows_max: report.flows_max,
            numbers: report.numbers,
            ttl: report.ttl.unwrap_or(Ttl::DEFAULT),
            reason: cut(report.reason.unwrap_or_default()),
            reported,
            counters: *counters,
        });
        Ok(FlowsBetween {
            new: counters.flows_new.saturating_sub(counted.flows_new),
            ended: counters.flows_ended.saturating_sub(counted.flows_ended),
        })
    }

    /// The real was asked for something: by a new flow, or in one that it has.
    pub fn asked(&mut self, now: Instant) {
        self.asked.count(now);
        self.asked_since_report = self.asked_since_report.saturating_add(1);
    }

    /// Age of the last report, if there was one.
    pub fn age(&self, now: Instant) -> Option<Duration> {
        self.last.as_ref().map(|last| now.since(last.at))
    }

    /// How often its agent is expected to report.
    pub fn interval(&self) -> Duration {
        self.pace.interval()
    }

    pub fn phase(&self, now: Instant) -> Option<Phase> {
        self.age(now).map(|age| Phase::of(age, self.interval()))
    }

    /// How much of what it said holds: all while fresh, falling evenly to nothing while it ages.
    pub fn freshness(&self, now: Instant) -> Fraction {
        let [fresh, ageing, _] = Phase::ends(self.interval());
        match self.age(now) {
            None => Fraction::ZERO,
            Some(age) if age <= fresh => Fraction::ONE,
            Some(age) => {
                let left = ageing.saturating_sub(age).as_nanos() as u64;
                Fraction::ratio(left, (ageing - fresh).as_nanos() as u64)
            }
        }
    }

    /// What the agent wants, while its word holds.
    pub fn word(&self, now: Instant) -> Option<AgentWord> {
        let last = self.last.as_ref()?;
        if now.since(last.at) <= last.ttl.duration() { last.word } else { None }
    }

    /// The configured weight after the agent's wish, which can only lower it.
    pub fn effective_weight(&self, configured: u16, now: Instant) -> EffectiveWeight {
        let full = u32::from(configured) * EffectiveWeight::ONE;
        EffectiveWeight(match self.share(now) {
            None => full,
            Some(Share::Percent(percent)) => full / 100 * u32::from(percent.min(100)),
            Some(Share::Weight(weight)) => full.min(u32::from(weight) * EffectiveWeight::ONE),
        })
    }

    /// What the agent wishes of its weight.
    pub fn share(&self, now: Instant) -> Option<Share> {
        self.unexpired(now).and_then(|last| last.share)
    }

    /// Whether a report is the first after a restart: its agent was silent until the last report
    /// expired, and is another one now or counts anew. One that merely paused is not new.
    pub(crate) fn is_reborn(&self, report: &LoadReport<'_>, now: Instant) -> bool {
        self.phase(now) == Some(Phase::Expired)
            && self.last.as_ref().is_some_and(|last| {
                let counts_anew = || match (report.seq, last.seq) {
                    (Some(seq), Some(last)) => !is_newer(seq, last),
                    _ => false,
                };
                last.id != report.id || counts_anew()
            })
    }

    /// How many flows the agent says that it can hold.
    pub fn flows_max(&self, now: Instant) -> Option<u32> {
        self.unexpired(now).and_then(|last| last.flows_max)
    }

    /// Until when weight and words hold and the phase is the same, if nothing else is reported.
    pub fn holds_until(&self, now: Instant) -> Option<Instant> {
        let last = self.last.as_ref()?;
        let ends = Phase::ends(self.interval()).into_iter().chain([last.ttl.duration()]);
        ends.map(|age| last.at + age).filter(|&end| end >= now).min()
    }

    /// The numbers of the last report, whatever its age.
    pub fn numbers(&self) -> Option<&Numbers> {
        self.last.as_ref().map(|last| &last.numbers)
    }

    /// What the last report gave as its reason.
    pub fn reason(&self) -> Option<&str> {
        self.last.as_ref().map(|last| last.reason.as_str()).filter(|reason| !reason.is_empty())
    }

    /// What the last report says of load, whatever its age.
    pub fn reported(&self) -> Option<Reported> {
        self.last.as_ref().and_then(|last| last.reported)
    }

    /// What the reports of this life say together.
    pub fn experience(&self) -> Option<Experience> {
        self.experience
    }

    /// How often it was asked in the last half second.
    pub fn asked_lately(&self, now: Instant) -> MilliFlows {
        self.asked.at(now)
    }

    /// What a report, with the one before of the same life, adds to experience.
    fn learn(&mut self, before: Option<Reported>, heard: Heard, now: Instant) {
        let waited = self.last.as_ref().map_or(0, |last| last.counters.flows_waiting);
        let experience = before.and(self.experience).unwrap_or_default();
        let since = before.and(self.age(now)).map(|span| (span, self.asked_since_report, waited));
        self.experience = Some(match since {
            Some((span, asked, waited)) => {
                experience.and(span, u64::from(asked) * 1000, u64::from(waited) * 1000, heard)
            }
            // Of how long the first one is nobody knows: as usual.
            None => experience.and(ASKED_WITHIN, self.asked.at(now), 0, heard),
        });
    }

    fn unexpired(&self, now: Instant) -> Option<&Taken> {
        self.last.as_ref().filter(|_| self.phase(now) < Some(Phase::Expired))
    }
}

impl Reported {
    fn after(before: Option<Reported>, load: Fraction) -> Reported {
        let before = before.map_or(load, |before| before.smoothed);
        let sum = u64::from(before.millionths()) + u64::from(load.millionths());
        Reported { load, smoothed: Fraction::from_millionths(sum / 2) }
    }
}

impl Phase {
    /// The phase of a report of this age, whose agent reports so often.
    pub fn of(age: Duration, interval: Duration) -> Phase {
        let [fresh, ageing, stale] = Self::ends(interval);
        if age <= fresh {
            Phase::Fresh
        } else if age <= ageing {
            Phase::Ageing
        } else if age <= stale {
            Phase::Stale
        } else {
            Phase::Expired
        }
    }

    /// At what age a report is no more fresh, ageing, stale.
    fn ends(interval: Duration) -> [Duration; 3] {
        [2, 5, 10].map(|intervals| interval.saturating_mul(intervals))
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Phase::Fresh => "fresh",
            Phase::Ageing => "ageing",
            Phase::Stale => "stale",
            Phase::Expired => "expired",
        }
    }
}

impl AgentWord {
    pub const fn as_str(self) -> &'static str {
        match self {
            AgentWord::Down => "down",
            AgentWord::Maint => "maint",
            AgentWord::Drain => "drain",
            AgentWord::Up => "up",
        }
    }
}

impl EffectiveWeight {
    pub const ZERO: EffectiveWeight = EffectiveWeight(0);
    const ONE: u32 = 1000;

    pub const fn thousandths(self) -> u32 {
        self.0
    }

    /// So much of it; what is more than nothing stays more than nothing.
    pub const fn part(self, part: Percent) -> EffectiveWeight {
        EffectiveWeight((self.0 * part.get()).div_ceil(100))
    }

    /// Rounded up: only what gets no flow reads 0.
    pub const fn whole(self) -> u32 {
        self.0.div_ceil(Self::ONE)
    }
}

impl fmt::Display for EffectiveWeight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 % Self::ONE {
            0 => write!(f, "{}", self.0 / Self::ONE),
            part => write!(f, "{}.{:02}", self.0 / Self::ONE, part / 10),
        }
    }
}

impl fmt::Display for ReportRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReportRefusal::Old { seq, last } => {
                write!(f, "seq {seq} is not after {last} (a restarted agent needs another id)")
            }
        }
    }
}

/// Whether `seq` comes after `last`, half the circle ahead at most (RFC 1982). From exactly half
/// a circle away either would come after the other; there the greater number does, so that such
/// a jump cannot be jumped back.
fn is_newer(seq: u32, last: u32) -> bool {
    match seq.wrapping_sub(last) {
        0 => false,
        0x8000_0000 => seq > last,
        ahead => ahead < 0x8000_0000,
    }
}

/// As much of a reason as is kept.
fn cut(reason: &str) -> heapless::String<{ RealLoad::REASON_BYTES_MAX }> {
    let mut kept = heapless::String::new();
    for character in reason.chars() {
        if kept.push(character).is_err() {
            break;
        }
    }
    kept
}

/// The weightier of the two words.
fn word_of(report: &LoadReport<'_>) -> Option<AgentWord> {
    let health = report.health.map(|health| match health {
        HealthWord::Up => AgentWord::Up,
        HealthWord::Down | HealthWord::Stopped | HealthWord::Fail => AgentWord::Down,
    });
    let admin = report.admin.map(|admin| match admin {
        AdminState::Ready => AgentWord::Up,
        AdminState::Drain => AgentWord::Drain,
        AdminState::Maint => AgentWord::Maint,
    });
    [health, admin].into_iter().flatten().min()
}

/// One number for how loaded a guest is, if its report has any to go by.
///
/// The application knows best: where `app` is said, it is the load. Else the scarcest resource
/// is: the CPU with what the hypervisor withheld of it, waiting for I/O, or memory, of which only
/// the last tenth counts, since a healthy system fills the rest with caches. Without `app` and
/// `cpu` there is no load to go by.
///
/// What is beyond [`LOAD_MAX`] is taken as [`LOAD_MAX`]: four times too much is too much, and one
/// guest's exaggeration must not move its neighbours' mean.
pub fn load_of(numbers: &Numbers) -> Option<Fraction> {
    let load = numbers.app.or_else(|| {
        let cpu = numbers.cpu?.plus(numbers.steal.unwrap_or_default());
        let mem = u64::from(numbers.mem.unwrap_or_default().millionths());
        let mem = Fraction::from_millionths(mem.saturating_sub(900_000) * 10);
        Some(cpu.max(numbers.io.unwrap_or_default()).max(mem))
    })?;
    Some(load.min(LOAD_MAX))
}

/// The most that a reported load counts for.
pub(crate) const LOAD_MAX: Fraction = Fraction::from_millionths(4_000_000);

#[cfg(test)]
mod tests;
