//! The least of all: `lc`, `wlc`, `wll` and `p2c`.
//!
//! `lc` takes the real with the fewest open flows, `wlc` the one with the fewest for its weight.
//! `wll` takes the one where a new flow has the least to wait for, its *expected delay*:
//!
//! ```text
//! delay = (demand + own + lately) / capacity / wish
//! ```
//!
//! A load report is a look back at half a second or more; by it alone a burst lands whole on the
//! guest that looked idle, and then on the other (a herd). But both directions pass the switch, so
//! it knows at every instant how many clients wait for which real. What it cannot know is how quick
//! a real is, and that is what reports tell. So the queue is counted and the speed is learned, and a
//! report that is late, lost or rare does little harm: speeds change seldom.
//!
//! *Capacity* is how often a real can be asked in half a second: how often it was asked between
//! reports, over the load that this made ([`Experience`]). It starts from the operator's weight,
//! which is his estimate of just that, as if it had been seen at a load of a tenth; so a weight is
//! believed until there is better, and does not count twice where it was right. What was seen fades
//! within some seconds, and a real that is no longer asked slides back to its weight. Differences of
//! less than 15 % are taken for chance, so that guests that are alike are treated alike.
//!
//! Load that those who asked cannot have made comes from *beside*: another program. It takes its
//! part of the capacity for as long as reports show it, and is not held against the real afterwards:
//! a guest whose antagonist ends has its share back within three seconds, though nobody asked it
//! meanwhile. What the agent wishes and what a slow start withholds is no estimate of speed: it is
//! the *wish*, a part of the whole.
//!
//! *Demand* is a quarter of the flows that wait for an answer, and three quarters of those that are
//! open, each of these for as much as an open flow of the service waits on average. With one request
//! a flow both are the queue. Flows kept open idly count nearly nothing; long ones that fall silent
//! between requests will speak again, and who has many of them should have no more. Where CPUs are
//! busy though nobody waits (a server that only sends), the load that is reported is the demand.
//!
//! *Own* is what the flow itself will ask for, times four for the part of the service that is idle:
//! where it is mostly idle the quick guest is taken even before the slow one that has nothing to do,
//! which is where the time is to be won, and where all work hard only queues count. *Lately* is how
//! often the real was asked in the last half second, over what an average one can do, and five
//! quarters of that: among those that are alike, flows go round, and an error in a capacity is not
//! made again with each flow.
//!
//! What each is worth was tried in the laboratory (docs/laboratory.md), by seeds that are not those
//! of its results. Eight guests of speeds 1:2:4 at 90 %, flows kept open idly, p99: 185 ms; whoever
//! knows all speeds and queues has 187 ms, and by open flows over weight it is tens of seconds.
//!
//! *Trust*: a report is a guest's word, and one that says "idle" whatever it is given would get most
//! of all flows. So three things that it says are compared with what the switch counts:
//!
//! - as many flows, for its weight, as this real was given cost the others a usual load;
//! - of as many flows that wait for it the others say to have a usual number in flight (`rif`);
//! - one that is less than half as loaded as the others answers a SYN no later than they do.
//!
//! A guest may well be some times as quick; one that says less than an eighth of the usual, smoothed
//! over some seconds, is trusted less, and at a sixteenth not at all. Then it is taken to be as
//! loaded as the others would be, which is the share of an average guest and never less: an honest
//! guest that is misjudged loses only what it has beyond that. A lie that stays within the bounds
//! gets what it gets until flows wait for it: demand needs no one's word. Nobody is asked where
//! nobody works hard.
//!
//! A report that ages counts less, and with it its real's capacity slides to what its weight says,
//! which is that of a real without reports; such a one is taken to be as loaded as the others. When
//! no report is fresh, `wll` is `wlc`.
//!
//! Of equals the one with fewer open flows for its weight is taken, of those the one that was asked
//! less lately, so that short flows go round; then chance decides, in proportion to weight.
//!
//! `p2c` draws two reals, each as likely as it has weight, and takes the better of the two by the
//! same measure: by delay where the reports are fresh, else by flows (Mitzenmacher, "The Power of
//! Two Choices", 1996). Two draws do nearly as well as looking at everybody, and several
//! appliances that know the same and choose at the same time do not all choose the same.
//!
//! How the least is found without asking everybody is [`super::ranking`]. What reports make of a
//! real, its [`Ability`], is the same until the next one; a flow that comes or goes changes only
//! what is divided by it.
//!
//! All of it is integers, millionths of load, thousandths of a flow and nanoseconds, so that one
//! seed replays a world everywhere. Counts of flows are bounded by [`MILLIFLOWS_MAX`] and delays by
//! [`DELAY_MAX_NS`], so that the products of each flow fit 64 bits; those of reports have 128.

use core::time::Duration;

use super::Candidate;
use crate::Instant;
use crate::guest::load::{ASKED_WITHIN, Experience, LOAD_MAX, MilliFlows, Phase};
use crate::guest::report::Fraction;

/// What the reports of a service's candidates say together, at one instant. All sums are of the
/// reals with a fresh report that has a load.
#[derive(Clone, Copy, Debug)]
pub struct Outlook {
    now: Instant,
    reals: i64,
    weight: i64,
    /// What all of them have seen and said, by experience; that which goes by flows for a weight of 1.
    all: Heard,
    /// How long their answers to SYNs take, and of how many that is known.
    answers: (Duration, u32),
    /// How often an average real is asked that is loaded by [`TYPICAL_LOAD`].
    typical: i64,
    /// Of an average real, in half a second.
    capacity: i64,
    /// Of the flows that are open those that wait, in millionths.
    waits: i64,
    /// What too few flows wait to explain of the load, in millionths of it.
    unexplained: i64,
    /// What a new flow counts for.
    own: i64,
}

/// What a real said, or several, and what the switch counted.
#[derive(Clone, Copy, Debug, Default)]
struct Heard {
    load: i64,
    asked: i64,
    in_flight: i64,
    waited: i64,
}

/// What is made of a real's reports: it stays the same until the next one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ability {
    /// How often it can be asked in half a second, by all that is known. At least 1.
    capacity: u64,
    /// Its load, as flows, as far as nobody waits for it.
    unasked: u64,
}

/// One real's expected delay with all that led to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forecast {
    /// By experience: what those who asked for something made of it, and what else there was.
    pub load: Option<Fraction>,
    pub beside: Option<Fraction>,
    /// How much of it counts, by its age.
    pub freshness: Fraction,
    /// How far it is believed.
    pub trust: Fraction,
    /// How often it can be asked in half a second, by all that is known.
    pub capacity: MilliFlows,
    /// How often it was, lately.
    pub asked: MilliFlows,
    pub demand: MilliFlows,
    /// For a whole wish.
    pub delay: Duration,
}

/// So much load that a real reported is worth as much as what its weight says.
const TYPICAL_LOAD: i64 = 100_000;
/// What other programs of a guest take at most: they share its CPU.
const BESIDE_MAX: i64 = 750_000;
/// A capacity that differs by less from what a weight says, in thousandths of that, is taken for
/// that; one that differs by twice as much, as it was seen.
const CHANCE: i128 = 150;
/// Of the flows that wait and of those that are open, the parts that are demand.
const DEMAND_PARTS: (i64, i64) = (1, 3);
/// What a new flow counts for, as long as nobody does anything.
const OWN: i64 = 4_000;
/// Of a service that works as hard as it can, this part is idle.
const IDLE_MIN: i64 = 50_000;
/// What a real was asked lately counts so many times, in thousandths.
const LATELY: i64 = 1_250;
/// One in so many parts of what the others say for as many flows is not believed at all; one in so
/// many is, wholly.
const UNBELIEVABLE: (i64, i64) = (16, 8);
/// Nobody is asked for more who would not be loaded by more than this.
const WORTH_A_LIE: i64 = 150_000;
/// Nor by whom fewer flows are waited for.
const WAITED_MIN: i64 = 2_000;
/// A SYN is answered at once in less.
const AT_ONCE: Duration = Duration::from_millis(1);
/// Whole trust, a whole load, in millionths.
const TRUSTED: i64 = WHOLE;
const WHOLE: i64 = Fraction::ONE.millionths() as i64;
/// Counts are cut off here: 4 million flows in an interval or open at one real.
pub(super) const MILLIFLOWS_MAX: MilliFlows = 1 << 32;
/// Some two weeks.
const DELAY_MAX_NS: u64 = 1 << 50;

impl Outlook {
    /// Sums up the fresh reports; `None` when there is none and `wlc` decides.
    pub fn of(candidates: &[Candidate<'_>], now: Instant) -> Option<Outlook> {
        let mut outlook = Outlook {
            now,
            reals: 0,
            weight: 0,
            all: Heard::default(),
            answers: (Duration::ZERO, 0),
            typical: 0,
            capacity: 0,
            waits: 0,
            unexplained: 0,
            own: 0,
        };
        let fresh = || {
            candidates.iter().filter(|candidate| {
                let is_fresh = candidate.load.phase(now) == Some(Phase::Fresh);
                candidate.has_weight() && is_fresh && candidate.load.reported().is_some()
            })
        };
        let (mut asked, mut open, mut waiting) = (0, 0, 0);
        for real in fresh() {
            outlook.reals += 1;
            outlook.weight += i64::from(real.weight_set);
            outlook.all = outlook.all.plus(&Heard::of(real), 1);
            if let Some(after) = real.answer_time {
                outlook.answers = (outlook.answers.0 + after, outlook.answers.1 + 1);
            }
            asked += bounded(experience(real).asked);
            open += bounded(u64::from(real.flows_open) * 1000);
            waiting += bounded(u64::from(real.flows_waiting) * 1000);
        }
        if outlook.weight == 0 {
            return None;
        }
        let Outlook { reals, all: Heard { load, .. }, .. } = outlook;
        let typical = 1000 + asked * (TYPICAL_LOAD / 1000) / (load / 1000 + 1);
        outlook.typical = typical.min(MILLIFLOWS_MAX as i64);
        outlook.waits = waiting * WHOLE / open.max(1);
        // A flow that is waited for explains a whole load: it keeps a core busy at most.
        outlook.unexplained = (load - waiting * 1000).max(0) * WHOLE / load.max(1);
        outlook.own = OWN * (WHOLE - load / reals).max(IDLE_MIN) / WHOLE;
        let capacity: i128 = fresh().map(|real| outlook.seen(real)).sum();
        outlook.capacity = i64::try_from(capacity / i128::from(reals)).unwrap_or(i64::MAX).max(1);
        Some(outlook)
    }

    pub fn forecast(&self, candidate: &Candidate<'_>) -> Forecast {
        let ability = self.ability(candidate);
        let experience = candidate.load.experience();
        Forecast {
            load: experience.map(|experience| experience.load),
            beside: experience.map(|experience| experience.beside),
            freshness: candidate.load.freshness(self.now),
            trust: to_fraction(self.trust(candidate)),
            capacity: ability.capacity,
            asked: candidate.load.asked_lately(self.now),
            demand: self.demand(candidate, ability).unsigned_abs(),
            delay: Duration::from_nanos(self.delay_ns(candidate, ability)),
        }
    }

    /// What is made of a real's reports.
    pub(super) fn ability(&self, candidate: &Candidate<'_>) -> Ability {
        let said = match candidate.load.reported() {
            Some(reported) => self.believed(candidate, reported.smoothed),
            None => self.all.load / self.reals,
        };
        Ability {
            capacity: u64::try_from(self.capacity_of(candidate)).unwrap_or(u64::MAX),
            unasked: (said / 1000 * self.unexplained / WHOLE).unsigned_abs(),
        }
    }

    /// How long a new flow is expected to wait at a real.
    pub(super) fn delay_ns(&self, candidate: &Candidate<'_>, ability: Ability) -> u64 {
        const NANOS: u64 = ASKED_WITHIN.as_nanos() as u64;
        let asked = bounded(candidate.load.asked_lately(self.now));
        let lately = asked * LATELY / self.capacity;
        let flows = bounded((self.demand(candidate, ability) + self.own + lately).unsigned_abs());
        (flows.unsigned_abs() * NANOS / ability.capacity).min(DELAY_MAX_NS)
    }

    /// How many flows a real has to do with, now and most likely.
    fn demand(&self, candidate: &Candidate<'_>, ability: Ability) -> i64 {
        let waiting = bounded(u64::from(candidate.flows_waiting) * 1000);
        let likely = bounded(u64::from(candidate.flows_open) * 1000) * self.waits / WHOLE;
        let (now, later) = DEMAND_PARTS;
        (waiting * now + likely * later) / (now + later) + bounded(ability.unasked)
    }

    /// How often a real can be asked in half a second: what its weight says, unless it was seen to be
    /// otherwise by more than chance. At least 1.
    fn capacity_of(&self, candidate: &Candidate<'_>) -> i128 {
        let share = i128::from(self.reals) * i128::from(candidate.weight_set);
        let set = (i128::from(self.capacity) * share / i128::from(self.weight)).max(1);
        let other = match candidate.load.experience() {
            Some(_) => self.seen(candidate) * 1000 / set - 1000,
            None => 0,
        };
        let beyond = ((other.abs() - CHANCE).max(0) * 2).min(other.abs()) * other.signum();
        let fresh = i128::from(candidate.load.freshness(self.now).millionths());
        (set + set * beyond / 1000 * fresh / i128::from(WHOLE)).max(1)
    }

    /// As often as it was asked, over what that made of its load; the less it made, the more what
    /// its weight says. And of that, what other programs leave.
    fn seen(&self, candidate: &Candidate<'_>) -> i128 {
        let experience = experience(candidate);
        let share = i128::from(self.reals) * i128::from(candidate.weight_set);
        let typical = i128::from(self.typical) * share / i128::from(self.weight);
        let load = self.believed(candidate, experience.load) + TYPICAL_LOAD;
        let free = WHOLE - i64::from(experience.beside.millionths()).min(BESIDE_MAX);
        (i128::from(bounded(experience.asked)) + typical) * i128::from(free) / i128::from(load)
    }

    /// What is made of a load that a real said.
    fn believed(&self, candidate: &Candidate<'_>, said: Fraction) -> i64 {
        let said = i64::from(said.millionths());
        let (mine, others) = self.compared(candidate);
        match others.load_for(mine.asked) - said {
            less if less > 0 => said + less * (TRUSTED - self.trust(candidate)) / TRUSTED,
            _ => said,
        }
    }

    /// How far a real is believed whose reports say less than the switch counts: the least of what
    /// each comparison leaves.
    fn trust(&self, candidate: &Candidate<'_>) -> i64 {
        let (mine, others) = self.compared(candidate);
        let load = others.load_for(mine.asked);
        let by_load = if load > WORTH_A_LIE { trust(mine.load, load) } else { TRUSTED };
        let in_flight = others.in_flight_for(mine.waited);
        let by_rif =
            if in_flight > WAITED_MIN { trust(mine.in_flight, in_flight) } else { TRUSTED };
        by_load.min(by_rif).min(self.trust_by_answers(candidate, mine.load, load))
    }

    /// Who says to be less than half as loaded as others would be, and takes long to answer a SYN.
    fn trust_by_answers(&self, candidate: &Candidate<'_>, said: i64, usual: i64) -> i64 {
        let (sum, count) = self.answers;
        match candidate.answer_time {
            Some(own) if count > 1 && said * 2 < usual => {
                let others = sum.saturating_sub(own) / (count - 1);
                let micros = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
                trust(micros(others.max(AT_ONCE)), micros(own))
            }
            _ => TRUSTED,
        }
    }

    /// What a real and what the others said and were counted to have.
    fn compared(&self, candidate: &Candidate<'_>) -> (Heard, Heard) {
        let mine = Heard::of(candidate);
        (mine, self.all.plus(&mine, -1))
    }
}

impl Heard {
    fn of(candidate: &Candidate<'_>) -> Heard {
        let Experience { load, asked, in_flight, waited, .. } = experience(candidate);
        Heard {
            load: load.millionths().into(),
            asked: bounded(asked) * 1000 / i64::from(candidate.weight_set).max(1),
            in_flight: bounded(in_flight),
            waited: bounded(waited),
        }
    }

    fn plus(&self, other: &Heard, sign: i64) -> Heard {
        Heard {
            load: self.load + other.load * sign,
            asked: self.asked + other.asked * sign,
            in_flight: self.in_flight + other.in_flight * sign,
            waited: self.waited + other.waited * sign,
        }
    }

    /// What so many requests cost these.
    fn load_for(&self, asked: i64) -> i64 {
        proportional(asked, self.load, self.asked).min(LOAD_MAX.millionths().into())
    }

    /// What these say of so many that wait.
    fn in_flight_for(&self, waited: i64) -> i64 {
        proportional(waited, self.in_flight, self.waited)
    }
}

/// What there is for so many, if there is `all` for `of`.
fn proportional(many: i64, all: i64, of: i64) -> i64 {
    if of <= 0 {
        return 0;
    }
    let part = i128::from(many) * i128::from(all) / i128::from(of);
    part.clamp(0, MILLIFLOWS_MAX.into()) as i64
}

/// How far one is believed that says so much where others would say so much more.
fn trust(said: i64, usual: i64) -> i64 {
    let (none, all) = UNBELIEVABLE;
    let part = said * TRUSTED / usual.max(1);
    ((part * none - TRUSTED) * all / (none - all)).clamp(0, TRUSTED)
}

/// Of a real that has said nothing, none.
fn experience(candidate: &Candidate<'_>) -> Experience {
    candidate.load.experience().unwrap_or_default()
}

fn bounded(flows: MilliFlows) -> i64 {
    flows.min(MILLIFLOWS_MAX) as i64
}

fn to_fraction(millionths: i64) -> Fraction {
    Fraction::from_millionths(u64::try_from(millionths).unwrap_or(0))
}
