//! What a real was seen to do: how loaded it said to be, and how often it was asked meanwhile.
//!
//! Both are of the time from one report to the next. Compared with a half second that is not quite
//! the agent's, guests that are alike look as different as 4 and 5.
//!
//! Load that so few requests cannot have made, by what others made before, comes from something else
//! that runs in the guest, and is kept apart. So a hog does not make a guest look slow that nobody
//! asks any more because of it: it is over as soon as a report says so. Requests may grow dearer, but
//! not at once by more than [`DEARER`] times; whoever had waited before counts among them, since a
//! queue is worked off after it was asked for.
//!
//! Nothing is known at the beginning, and the less was seen, the less it says.

use core::time::Duration;

use super::window::{ASKED_WITHIN, MilliFlows, micros};
use crate::guest::report::Fraction;

/// How loaded a real was and how often it was asked meanwhile, both fading: what is [`MEMORY`] old
/// counts for a third.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Experience {
    pub load: Fraction,
    /// In half a second: by a new flow, or in one that was there.
    pub asked: MilliFlows,
    /// The load that came from something else, as of now.
    pub beside: Fraction,
    /// Requests that it said to have, and flows that waited for it by our count.
    pub in_flight: MilliFlows,
    pub waited: MilliFlows,
}

/// What a report says, and what the switch counts as it comes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heard {
    pub load: Fraction,
    /// Who says nothing of it is taken to say what is counted.
    pub in_flight: u32,
    pub flows_waiting: u32,
}

/// How long what a real was seen to do is remembered.
const MEMORY: Duration = Duration::from_secs(8);
/// Requests may be so many times as dear as before.
const DEARER: u64 = 4;
/// A load that is next to none, in millionths.
const SMALL: u64 = 20_000;

impl Experience {
    /// As it is after a time in which the real was asked so often, beside those who had waited.
    pub(super) fn and(
        self,
        span: Duration,
        asked: MilliFlows,
        waited: MilliFlows,
        heard: Heard,
    ) -> Experience {
        let [span, memory, half_second] = [span, MEMORY, ASKED_WITHIN].map(micros);
        let faded = |before: u64, more: u64| (before * memory + more) / (memory + span);
        let at_hand = (asked + waited) * half_second / span.max(1);
        let said = u64::from(heard.load.millionths());
        let own = said.min(self.load_of(at_hand));
        let beside = (u64::from(self.beside.millionths()) + said - own) / 2;
        Experience {
            load: Fraction::from_millionths(faded(self.load.millionths().into(), own * span)),
            asked: faded(self.asked, asked * half_second),
            beside: Fraction::from_millionths(beside),
            waited: faded(self.waited, u64::from(heard.flows_waiting) * 1000 * span),
            in_flight: faded(self.in_flight, u64::from(heard.in_flight) * 1000 * span),
        }
    }

    /// The load that so many requests may have made, by what others did before.
    fn load_of(&self, requests: MilliFlows) -> u64 {
        let load = u64::from(self.load.millionths()) + SMALL;
        match (requests, self.asked) {
            (0, _) => 0,
            (_, 0) => u64::MAX,
            (requests, asked) => requests.saturating_mul(load * DEARER) / asked,
        }
    }
}
