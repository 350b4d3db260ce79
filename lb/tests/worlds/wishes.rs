//! What the operator said, and how the guests are, kept beside the switch: so that the switch is
//! not the only witness of whom it may give a new flow.

use std::collections::BTreeMap;

use super::plan::{Admin, Plan, Step};
use super::{MS, Nanos};

/// Three probes without an answer and the time to the fourth, and what is under way meanwhile.
const KNOWN_SILENT_AFTER: Nanos = 1100 * MS;

pub struct Wishes {
    /// By service and guest.
    reals: BTreeMap<(usize, usize), Wish>,
    links_up: Vec<bool>,
    silent_since: Vec<Option<Nanos>>,
}

#[derive(Clone, Copy, Debug)]
struct Wish {
    state: Admin,
    weight: u16,
}

impl Wishes {
    pub fn new(plan: &Plan) -> Wishes {
        Wishes {
            reals: BTreeMap::new(),
            links_up: vec![true; plan.guests],
            silent_since: vec![None; plan.guests],
        }
    }

    /// Takes in a step that was done. What a service or a guest has as its first reals is set by
    /// steps of its own.
    pub fn take(&mut self, step: Step, now: Nanos) {
        match step {
            Step::Administer { service, guest, state } => {
                let is_meant =
                    |&(of, at): &(usize, usize)| at == guest && service.is_none_or(|s| s == of);
                let meant = self.reals.iter_mut().filter(|(key, _)| is_meant(key));
                meant.for_each(|(_, wish)| wish.state = state);
            }
            Step::SetReal { service, guest, weight, .. } => {
                let new = Wish { state: Admin::Ready, weight };
                self.reals.entry((service, guest)).or_insert(new).weight = weight;
            }
            Step::DeleteReal { service, guest } => {
                self.reals.remove(&(service, guest));
            }
            Step::DeleteService { service } => self.reals.retain(|&(of, _), _| of != service),
            Step::Link { guest, up } => self.links_up[guest] = up,
            Step::Silence { guest, silent } => {
                let since = self.silent_since[guest].unwrap_or(now);
                self.silent_since[guest] = silent.then_some(since);
            }
            Step::Remove { guest } => {
                self.reals.retain(|&(_, at), _| at != guest);
                self.links_up[guest] = false;
            }
            Step::Define { guest } => self.links_up[guest] = true,
            Step::SetService { .. }
            | Step::Agent { .. }
            | Step::Restart { .. }
            | Step::Boast { .. }
            | Step::RestartSwitch { .. } => {}
        }
    }

    /// A new flow for this real: it must be wanted, and known to be there or not known otherwise.
    pub fn check_choice(&self, service: usize, guest: usize, is_unproven: bool, now: Nanos) {
        let wish = self.reals.get(&(service, guest));
        let is_wanted = wish.is_some_and(|wish| wish.state == Admin::Ready && wish.weight > 0);
        assert!(is_wanted, "a new flow of service {service} for guest {guest}, who is {wish:?}");
        assert!(self.links_up[guest], "a new flow over the dead link of guest {guest}");
        let silent_for = self.silent_since[guest].map_or(0, |since| now - since);
        let is_known_silent = silent_for > KNOWN_SILENT_AFTER && !is_unproven;
        assert!(
            !is_known_silent,
            "a new flow for guest {guest}, silent for {} ms",
            silent_for / MS
        );
    }
}
