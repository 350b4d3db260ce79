//! The bound: shortest expected delay, with every guest's speed and queue known at the instant of
//! the choice. Nobody knows them; with one request a flow, what it reaches is about what there is to
//! be reached. Of long flows it does not know what they will ask for.

use super::chooser::Chooser;
use super::guest::Guest;
use super::scenario::CORES;

pub struct Known;

impl Chooser for Known {
    fn open(&mut self, _flow: usize, _now: u64, guests: &[Guest]) -> Option<usize> {
        let up = guests.iter().enumerate().filter(|(_, guest)| guest.is_up);
        let cost = |guest: &Guest| (delay(guest), f64::from(guest.in_flight()) / guest.capacity());
        let least = up.min_by(|(_, one), (_, other)| {
            let ((delay, fill), (other_delay, other_fill)) = (cost(one), cost(other));
            delay.total_cmp(&other_delay).then(fill.total_cmp(&other_fill))
        });
        least.map(|(at, _)| at)
    }
}

/// How long a request would take whose neighbours all stayed. While a core is free it is the same
/// wherever speeds are; then the emptier one is better for those that come later.
fn delay(guest: &Guest) -> f64 {
    let sharers = f64::from(guest.in_flight() + 1).max(f64::from(CORES) * (1.0 - guest.hog));
    sharers / guest.capacity()
}
