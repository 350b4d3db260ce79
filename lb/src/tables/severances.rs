//! Which reals are severed: looked at in slices, told to the log once.

use super::Tables;
use crate::event::{Event, Events};
use crate::guest::load::AgentWord;
use crate::service::severance::{Severance, Sight};
use crate::wire::ip::Version;
use crate::{AdminState, Instant, Real};

impl Tables {
    /// Looks at every `step`th real from `first` on.
    pub(super) fn look_at_severances(&mut self, first: usize, step: usize, now: Instant) {
        let mut has_changed = false;
        for at in (first..self.ends.reals).step_by(step) {
            let Some(sight) = self.reals[at].as_ref().and_then(|real| self.sight(real, now)) else {
                continue;
            };
            if let Some(real) = &mut self.reals[at] {
                has_changed |= real.severance.look(sight, now);
            }
        }
        if has_changed {
            self.map_hops();
        }
    }

    /// The same for all: something has changed that no flow should wait for.
    pub(crate) fn look_at_all_severances(&mut self, now: Instant) {
        self.look_at_severances(0, 1, now);
    }

    /// Tells the log of those among the same reals who were severed with flows that are open.
    pub(super) fn tell_severances(&mut self, first: usize, step: usize, events: &mut Events) {
        let Tables { services, reals, ends, .. } = self;
        for real in reals[..ends.reals].iter_mut().skip(first).step_by(step).flatten() {
            let Severance { severed, is_told, .. } = real.severance;
            real.severance.is_told = severed.is_some();
            let service = services[real.service.index()].as_ref();
            let (Some(why), false, Some(service)) = (severed, is_told, service) else {
                continue;
            };
            if real.counters.flows_open > 0 {
                events.push(Event::Severed {
                    service: service.spec.name.clone(),
                    guest: real.spec.guest.clone(),
                    flows: real.counters.flows_open,
                    why,
                });
            }
        }
    }

    fn sight(&self, real: &Real, now: Instant) -> Option<Sight> {
        let spec = &self.service(real.service)?.spec;
        let guest = self.guest(real.guest);
        let port = guest.and_then(|guest| self.port(guest.spec.port));
        let version = Version::of(spec.vip);
        let is_drained_by_agent = real.load.word(now) == Some(AgentWord::Drain);
        Some(Sight {
            has_guest: guest.is_some(),
            has_link: port.is_some_and(|port| port.link_up),
            is_silent: guest.is_some_and(|guest| guest.is_silent_by(version)),
            is_drained: real.retired || real.admin == AdminState::Drain || is_drained_by_agent,
            on_down: spec.on_down,
            drain_timeout: spec.drain_timeout,
        })
    }
}
