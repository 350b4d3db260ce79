//! Probes in their place: who is asked follows the configuration, answers come in like any frame, and
//! what was found goes to the real, and into the log where it changes something.

use core::net::IpAddr;
use core::time::Duration;

use crate::addr::link_local_like;
use crate::dataplane::{Dataplane, Inbound};
use crate::event::Event;
use crate::limits::REALS_MAX;
use crate::service::check::Watch;
use crate::service::probe::{Answer, Errand, ErrandId, Outcome, Sender, Target, Task, What};
use crate::tables::Tables;
use crate::wire::ip::Version;
use crate::wire::{Address, Ethernet, Ip, transport};
use crate::{Agent, DropReason, Failure, Instant, PortId, Real, RealId, Service, Verdict};

impl Dataplane {
    /// Has asked what the configuration wants, after a change.
    pub(super) fn assign_probes(&mut self, now: Instant) {
        let Dataplane { tables, probes, outbox, dice, .. } = self;
        for id in (0..REALS_MAX as u16).map(RealId) {
            let (check, pull) = (ErrandId::check_of(id), ErrandId::pull_of(id));
            let (wanted_check, wanted_pull) = wanted(tables, id);
            let before = probes.errand(check);
            let is_alike = |after: &Errand| before.is_some_and(|before| before.asks_like(after));
            let is_known = wanted_check.as_ref().is_some_and(is_alike);
            if let Some(real) = tables.real_mut(id).filter(|_| !is_known) {
                real.watch = wanted_check.is_some().then(|| Watch::new(now));
            }
            probes.set(check, wanted_check, || dice.roll(), now, outbox);
            probes.set(pull, wanted_pull, || dice.roll(), now, outbox);
        }
    }

    /// Ends the probes whose time is over, and begins those that are due.
    pub(super) fn probe(&mut self, now: Instant) {
        let mut from = 0;
        while let Some((errand, outcome)) = self.probes.overdue(from, now) {
            from = errand.index() + 1;
            self.conclude(errand, outcome, now);
        }
        let Dataplane { probes, outbox, dice, .. } = self;
        probes.begin(now, || dice.roll(), outbox);
    }

    /// Whether a packet to the switch answers a probe, or only seems to.
    pub(super) fn at_probe(&self, packet: &Inbound<'_>) -> Option<Result<Verdict, DropReason>> {
        let Inbound { ingress, header, ip, ref head, .. } = *packet;
        let answered = self.probes.answered(sender(ingress, header), ip, head)?;
        Some(answered.map(|_| Verdict::Punt))
    }

    /// Takes in the answer to a probe; `false` for any other packet.
    pub(super) fn probe_answers(
        &mut self,
        ingress: PortId,
        header: &Ethernet,
        ip: &Ip,
        frame: &[u8],
        now: Instant,
    ) -> bool {
        let Some(answered) = self.probes.answered(sender(ingress, header), ip, frame) else {
            return false;
        };
        let Ok(Answer { errand, what }) = answered else {
            self.probes.ignore();
            return true;
        };
        let outcome = match what {
            What::Segment => self.probes.segment(errand, ip, frame, now, &mut self.outbox),
            What::Datagram if transport::udp_payload(frame, ip).is_none() => {
                self.probes.ignore();
                None
            }
            What::Datagram | What::Echo => Some(Outcome::Checked(Ok(()))),
            What::Unreachable => Some(Outcome::Checked(Err(Failure::PortUnreachable))),
        };
        if let Some(outcome) = outcome {
            self.conclude(errand, outcome, now);
        }
        true
    }

    /// A guest has said where its address is: the checks that asked for it are answered.
    pub(super) fn questions_answered(
        &mut self,
        ingress: PortId,
        header: &Ethernet,
        address: IpAddr,
        now: Instant,
    ) {
        let sender = sender(ingress, header);
        while let Some(errand) = self.probes.question_to(sender, address) {
            self.conclude(errand, Outcome::Checked(Ok(())), now);
        }
    }

    /// Ends a probe, and takes in what it has found.
    fn conclude(&mut self, id: ErrandId, outcome: Outcome, now: Instant) {
        let Some(took) = self.probes.end(id, now, &mut self.outbox) else {
            return;
        };
        self.probes.count(outcome.is_good());
        match outcome {
            Outcome::Checked(found) => self.checked(id, found.map(|()| took), now),
            Outcome::Pulled(Some(line)) => self.pulled(id.real(), &line, now),
            // A silent agent changes nothing: what it said last grows old.
            Outcome::Pulled(None) => {}
        }
    }

    fn checked(&mut self, id: ErrandId, found: Result<Duration, Failure>, now: Instant) {
        let Dataplane { tables, probes, events, .. } = self;
        let check = probes.errand(id).and_then(|errand| errand.task.check());
        let real = tables.real_mut(id.real());
        let (Some(check), Some(real)) = (check, real) else {
            return;
        };
        let Some(watch) = &mut real.watch else {
            return;
        };
        if !watch.observe(found, check, now) {
            return;
        }
        let (health, why) = (watch.health, found.err());
        let (service, guest) = (real.service, real.spec.guest.clone());
        if let Some(service) = tables.service(service) {
            let service = service.spec.name.clone();
            events.push(Event::RealHealth { service, guest, health, why });
        }
        tables.unsettle();
    }

    /// Whether the switch answers for an address on this port alone: a guest there is probed from it.
    pub(super) fn is_probe_source(&self, port: PortId, address: impl Into<Address>) -> bool {
        if !self.tables.port_sets().with_probe_sources.contains(port) {
            return false;
        }
        let address = address.into();
        let mut here = self.tables.guests().filter(|(_, guest)| guest.spec.port == port);
        here.any(|(_, guest)| guest.spec.probe_sources.iter().any(|&own| address == own))
    }
}

fn sender(ingress: PortId, header: &Ethernet) -> Sender {
    (ingress, header.source, header.vlan)
}

/// What a real is to be asked: by its check, and for its agent's line.
fn wanted(tables: &Tables, id: RealId) -> (Option<Errand>, Option<Errand>) {
    let of_service = |real: &Real| tables.service(real.service);
    let real = tables.real(id).filter(|real| !real.retired);
    let Some((real, service)) = real.and_then(|real| Some((real, of_service(real)?))) else {
        return (None, None);
    };
    // Who only stands in for the others is asked nothing but whether its guest is there.
    let Some(target) = target(tables, real, service).filter(|_| service.reals.contains(&id)) else {
        return (None, None);
    };
    let check = real.spec.check.as_ref().or(service.spec.check.as_ref()).map(|check| {
        let port = check.port.map_or(target.port, |port| port.get());
        Errand { task: Task::Check(check.clone()), target: Target { port, ..target } }
    });
    let pull = match service.spec.agent {
        Agent::Push => None,
        Agent::Pull { port, interval } => {
            let target = Target { port: port.get(), ..target };
            Some(Errand { task: Task::Pull { interval }, target })
        }
    };
    (check, pull)
}

/// Where a real is, and whom its guest sees asking.
fn target(tables: &Tables, real: &Real, service: &Service) -> Option<Target> {
    let guest = &tables.guest(real.guest)?.spec;
    let vlan = service.spec.vlan;
    // A port that carries the VLAN, though its link may be down.
    tables.port(guest.port).filter(|port| port.rules.vlan.carries(vlan))?;
    let version = Version::of(service.spec.vip);
    let address = guest.address_of(version)?;
    let mut sources = guest.probe_sources.iter().copied();
    let source = sources.find(|&source| Version::of(source) == version);
    Some(Target {
        egress: guest.port,
        mac: guest.mac,
        vlan,
        source: source.unwrap_or(link_local_like(address)).into(),
        address: address.into(),
        port: real.spec.port.unwrap_or(service.spec.port).get(),
        host: service.spec.vip,
    })
}
