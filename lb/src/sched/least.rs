//! The least of all: `lc`, `wlc`, `wll` and `p2c`.
//!
//! `lc` takes the real with the fewest open flows, `wlc` the one with the fewest for its weight.
//! `wll` takes the one with the least load for its weight, and its difficulty is that a report is
//! a look back: in the half second or more until the next one a burst would land whole on the guest
//! that looked idle, and then on the other (a herd). So the load is *predicted* to this instant:
//!
//! ```text
//! predicted = reported + c × (given now − ⅞ × given then) − own × ended + o × (open − expected)
//! ```
//!
//! *Reported* is smoothed over reports (the last counts half) and never less than [`IDLE`], below
//! which a guest's load is background and says nothing about the service.
//!
//! *Given* counts the flows of half a second: the last one, and the one before the report. A real
//! that is given what it was given before is expected to stay as loaded as it said; each flow more
//! adds `c`, until its half second has passed or a report shows what it really cost.
//! Flows that began and ended between two reports are in it: they were work. Hence a burst fills
//! the emptiest guests to one level, like water, and stops there.
//!
//! `c`, what one flow adds, scales itself: the loads of the service over the flows given to it,
//! both as reported, after [`PRIOR`] imagined flows that were worth one whole guest. With more
//! than a few flows in an interval `c` is what was measured; with few it is large and the choice
//! goes by turns, which is what one expects of idle guests. Too large a `c` makes the balance
//! slower; too small a one makes it swing, from about five times on, and the prior keeps away
//! from that.
//!
//! Why ⅞ and not all of it: with all, nothing would ever pull two reals together that look equally
//! loaded while one is given more. With none, the reported load and the flows that made it would
//! count twice, and shares would swing from report to report. The eighth left costs a guest with
//! twice the capacity some of its due: it gets 1.7 times the flows.
//!
//! *Ended*: a flow that the report saw and that has ended takes its part of the real's own load
//! along, at most `c`.
//!
//! *Queued*: what a guest does not get done stays open, and the switch sees it at once. The open
//! flows beyond those that a real should have count, and missing ones count as much the other way.
//! How many it should have goes by its capacity, the flows that it was given over the load that it
//! reported, both smoothed over some ten reports: twice the capacity, twice the flows at the same
//! load. What an open flow stands for, `o`, scales itself as `c` does, so that thousands of idle
//! connections are worth little. Without it every error of a report is made again with each flow
//! until the next one: with four guests at 85 %, flows of 5 ms and reports every 2 s, one flow in a
//! hundred took longer than 2440 ms; with it 36 ms (by hash 158 ms, by `wlc` 35 ms). Where guests
//! are of speeds 1:2:4, and no weight says so, 21 ms (by `wlc` 30 ms).
//!
//! *Trust*: a report is a guest's word, and one that says "idle" whatever it is given would get most
//! of all flows. So each is compared with what the switch counts: as many flows, for its weight, as
//! this real was given have a usual price, by the others' reports. A guest may well be some times as
//! quick; one that says less than an eighth of the usual price, smoothed over some ten reports, is
//! trusted less, and at a sixteenth not at all: then it is taken to be as loaded as the others would
//! be. It has the share of an average guest, never less, so an honest guest that is misjudged
//! loses only what it has beyond that. A lie that stays within the bounds gets what it gets until
//! flows stay open for it: *queued* needs no one's word. Nobody is asked where nobody works hard.
//!
//! A report that ages slides to what an average real would have; a real without any (or whose
//! report has no load) is taken for average as long as others have fresh ones, and is then
//! predicted by the flows that it is given. When none is fresh, `wll` is `wlc`.
//!
//! Of equals the one with fewer open flows for its weight is taken, of those the one that was given
//! fewer lately, so that short flows go round; then chance decides, in proportion to weight.
//!
//! `p2c` draws two reals, each as likely as it has weight, and takes the better of the two by the
//! same measure: by load where the reports are fresh, else by flows (Mitzenmacher, "The Power of
//! Two Choices", 1996). Two draws do nearly as well as looking at everybody, and several
//! appliances that know the same and choose at the same time do not all choose the same.
//!
//! How the least is found without asking everybody is [`super::ranking`].
//!
//! All of it is integers, millionths of load and thousandths of a flow, so that one seed replays a
//! world everywhere. Loads are bounded by [`Fraction::MAX`] and counts of flows by
//! [`MILLIFLOWS_MAX`]; with at most 64 reals every product fits 64 bits, but for those of
//! capacities, which have 128.

use super::Candidate;
use crate::Instant;
use crate::load::{Experience, LOAD_MAX, MilliFlows, Phase, Reported};
use crate::report::Fraction;

/// What the reports of a service's candidates say together, at one instant.
#[derive(Clone, Copy, Debug)]
pub struct Outlook {
    now: Instant,
    /// These sums are of the reals with a fresh report that has a load.
    weight: i64,
    predicted: i64,
    given: i64,
    open: i64,
    /// `c`, in millionths.
    per_flow: i64,
    /// What an open flow stands for, in millionths.
    per_open: i64,
    /// What all of them together get done at full load, in flows of half a second.
    capacity: i128,
    /// Flows that load an average real by [`TYPICAL_LOAD`].
    typical: i64,
    /// What all of them have said and been given, by experience.
    said: i64,
    flows: i64,
}

/// One real's predicted load with all that led to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forecast {
    pub reported: Option<Reported>,
    /// Flows given in the last half second.
    pub flows_given: MilliFlows,
    /// Flows that the report saw and that have ended since.
    pub ended_of_reported: u32,
    /// What one more flow is expected to add.
    pub per_flow: Fraction,
    /// What open flows add that are more than expected; less than 0 for fewer.
    pub queued_millionths: i64,
    /// How much of the prediction is the real's own report, the rest being the average.
    pub own_part: Fraction,
    /// How far a report is believed that says less than as many flows cost the others.
    pub trust: Fraction,
    pub predicted: Fraction,
}

/// Loads below this are as good as none.
pub const IDLE: Fraction = Fraction::from_millionths(50_000);
/// Flows that are imagined to have loaded one guest fully, before any was seen.
const PRIOR: i64 = 16;
/// Of the flows that explain a report, the part that is expected to come again.
const EXPECTED_AGAIN: (i64, i64) = (7, 8);
/// So much load that a real reported is taken for chance.
const TYPICAL_LOAD: i64 = 100_000;
/// One in so many parts of what the others say for as many flows is not believed at all; one in so
/// many is, wholly.
const UNBELIEVABLE: (i64, i64) = (16, 8);
/// Nobody is asked for more who would not be loaded by more than this.
const WORTH_A_LIE: i64 = 3 * IDLE.millionths() as i64;
/// Whole trust, in millionths.
const TRUSTED: i64 = Fraction::ONE.millionths() as i64;
/// Counts are cut off here: 4 million flows in an interval or open at one real.
pub(super) const MILLIFLOWS_MAX: MilliFlows = 1 << 32;

impl Outlook {
    /// Sums up the fresh reports; `None` when there is none and `wlc` decides.
    pub fn of(candidates: &[Candidate<'_>], now: Instant) -> Option<Outlook> {
        let reports = || {
            candidates.iter().filter(|candidate| candidate.has_weight()).filter_map(|candidate| {
                let fresh = candidate.load.phase(now) == Some(Phase::Fresh);
                candidate.load.reported().filter(|_| fresh).map(|reported| (candidate, reported))
            })
        };
        let mut outlook = Outlook {
            now,
            weight: 0,
            predicted: 0,
            given: 0,
            open: 0,
            per_flow: 0,
            per_open: 0,
            capacity: 0,
            typical: 0,
            said: 0,
            flows: 0,
        };
        let mut flows = PRIOR * 1000;
        let mut flows_given = 0;
        for (candidate, reported) in reports() {
            outlook.weight += i64::from(candidate.weight.thousandths());
            outlook.given += bounded(candidate.load.flows_given(now));
            outlook.open += bounded(u64::from(candidate.flows_open) * 1000);
            flows += bounded(reported.flows_given);
            let experience = candidate.load.experience().unwrap_or_default();
            flows_given += bounded(experience.flows_given);
            outlook.said += i64::from(experience.load.millionths());
            outlook.flows += flows_for_weight(candidate);
        }
        let believed = |(candidate, reported): (&Candidate<'_>, Reported)| {
            outlook.believed(candidate, reported.smoothed)
        };
        let loads = i64::from(Fraction::ONE.millionths()) + reports().map(believed).sum::<i64>();
        outlook.per_flow = loads * 1000 / flows;
        outlook.per_open = loads * 1000 / (PRIOR * 1000 + outlook.open);
        outlook.typical = 1000 + flows_given * (TYPICAL_LOAD / 1000) / (outlook.said / 1000 + 1);
        outlook.capacity = reports().map(|(candidate, _)| outlook.capacity_of(candidate)).sum();
        for (candidate, reported) in reports() {
            outlook.predicted += outlook.by_report(candidate, reported);
        }
        (outlook.weight > 0).then_some(outlook)
    }

    pub fn forecast(&self, candidate: &Candidate<'_>) -> Forecast {
        let load = candidate.load;
        let reported = load.reported();
        Forecast {
            reported,
            flows_given: load.flows_given(self.now),
            ended_of_reported: load.ended_of_reported(),
            per_flow: to_fraction(self.per_flow),
            queued_millionths: self.queued(candidate),
            own_part: reported.map_or(Fraction::ZERO, |_| load.freshness(self.now)),
            trust: to_fraction(self.trust(candidate)),
            predicted: self.predicted(candidate),
        }
    }

    /// The forecast without its reasons.
    pub(super) fn predicted(&self, candidate: &Candidate<'_>) -> Fraction {
        let Some(reported) = candidate.load.reported() else {
            return to_fraction(self.average(candidate));
        };
        let own = self.by_report(candidate, reported);
        let part = candidate.load.freshness(self.now);
        if part == Fraction::ONE {
            return to_fraction(own);
        }
        let whole = i64::from(Fraction::ONE.millionths());
        let average = self.average(candidate);
        to_fraction(average + (own - average) * i64::from(part.millionths()) / whole)
    }

    /// What is made of a load that a real said.
    fn believed(&self, candidate: &Candidate<'_>, said: Fraction) -> i64 {
        let said = i64::from(said.millionths());
        match self.usual(candidate) - said {
            less if less > 0 => said + less * (TRUSTED - self.trust(candidate)) / TRUSTED,
            _ => said,
        }
    }

    /// All, but for one that has long said too little to be true.
    fn trust(&self, candidate: &Candidate<'_>) -> i64 {
        let said = i64::from(candidate.load.experience().unwrap_or_default().load.millionths());
        let usual = self.usual(candidate);
        let (none, all) = UNBELIEVABLE;
        if usual <= WORTH_A_LIE {
            return TRUSTED;
        }
        let part = said * TRUSTED / usual;
        ((part * none - TRUSTED) * all / (none - all)).clamp(0, TRUSTED)
    }

    /// What the flows of a real of this weight would have cost the others.
    fn usual(&self, candidate: &Candidate<'_>) -> i64 {
        let Some(Experience { load, .. }) = candidate.load.experience() else {
            return 0;
        };
        let flows = flows_for_weight(candidate);
        let others = (self.said - i64::from(load.millionths()), self.flows - flows);
        if others.1 <= 0 {
            return 0;
        }
        let usual = i128::from(flows) * i128::from(others.0) / i128::from(others.1);
        usual.clamp(0, LOAD_MAX.millionths().into()) as i64
    }

    /// What a real's own report makes expect, in millionths.
    fn by_report(&self, candidate: &Candidate<'_>, reported: Reported) -> i64 {
        let load = candidate.load;
        let idle = i64::from(IDLE.millionths());
        let smoothed = self.believed(candidate, reported.smoothed);
        let (part, whole) = EXPECTED_AGAIN;
        let again = bounded(reported.flows_given) * part / whole;
        let more = self.per_flow * (bounded(load.flows_given(self.now)) - again) / 1000;
        let own = || smoothed * 1000 / bounded(reported.flows_handled).max(1000);
        let ended = match i64::from(load.ended_of_reported()) {
            0 => 0,
            ended => own().min(self.per_flow) * ended,
        };
        (smoothed.max(idle) + more - ended + self.queued(candidate))
            .clamp(idle, i64::from(Fraction::MAX.millionths()))
    }

    /// What an average real of this weight would have, but for the flows that this one is given.
    fn average(&self, candidate: &Candidate<'_>) -> i64 {
        let weight = i64::from(candidate.weight.thousandths());
        let share = |sum: i64| sum * weight / self.weight;
        let given = bounded(candidate.load.flows_given(self.now));
        let more = self.per_flow * (given - share(self.given)) / 1000;
        (share(self.predicted) + more + self.queued(candidate))
            .clamp(i64::from(IDLE.millionths()), i64::from(Fraction::MAX.millionths()))
    }

    /// What the open flows beyond those that the real's capacity makes expect add, or the missing
    /// ones take off.
    fn queued(&self, candidate: &Candidate<'_>) -> i64 {
        let capacity = self.capacity_of(candidate);
        let expected = i128::from(self.open) * capacity / self.capacity.max(1);
        let beyond = bounded(u64::from(candidate.flows_open) * 1000) - expected as i64;
        self.per_open * beyond / 1000
    }

    /// How many flows of half a second would load a real fully, for its weight, by what it was given
    /// and said; the less it said, the more the mean of all.
    fn capacity_of(&self, candidate: &Candidate<'_>) -> i128 {
        let weight = i64::from(candidate.weight.thousandths());
        let Some(Experience { load, flows_given }) = candidate.load.experience() else {
            return self.capacity * i128::from(weight) / i128::from(self.weight);
        };
        let flows = bounded(flows_given) + self.typical;
        let load = self.believed(candidate, load) + TYPICAL_LOAD;
        i128::from(flows) * i128::from(weight) * 1_000_000 / i128::from(load)
    }
}

/// The flows that a real of weight 1 would have been given for these, by experience.
fn flows_for_weight(candidate: &Candidate<'_>) -> i64 {
    let given = candidate.load.experience().unwrap_or_default().flows_given;
    bounded(given) * 1000 / i64::from(candidate.weight_set).max(1)
}

fn bounded(flows: MilliFlows) -> i64 {
    flows.min(MILLIFLOWS_MAX) as i64
}

fn to_fraction(millionths: i64) -> Fraction {
    Fraction::from_millionths(u64::try_from(millionths).unwrap_or(0))
}
