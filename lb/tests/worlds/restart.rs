//! The switch begins anew in the middle: a new one takes up the flows of the old one, as far as
//! what it hears tells it which they were.
//!
//! A real that speaks says by that which flow it is. So every connection goes on that is behind its
//! handshake, whose real has it with the caller's own port and is the only real at its end, until
//! the configuration changes for the first time. One that a hash has placed may also be taken up by
//! what the client says, and goes on if the hash still places it there: at the first of its reals or
//! at the one that stands in for that. So it may be lost if two reals or more were out of the choice
//! when it began, or if its own is when it is taken up. No real is silent for long: in these worlds
//! both ends ask now and then whether the other lives. A connection that goes past the services to
//! a guest's own port may be lost if a real is there.

use std::net::SocketAddr;

use lb::flow::{Direction, Flow, FlowKey, FlowState};
use lb::*;

use super::plan::Target;

/// A connection that has begun and is not over.
#[derive(Clone, Copy, Debug)]
pub struct UnderWay {
    pub call: usize,
    pub vlan: u16,
    pub local: SocketAddr,
    pub remote: SocketAddr,
    pub target: Target,
}

/// What a restart means for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Prospect {
    /// It goes on.
    Owed,
    /// It goes on if its hash still finds the same real.
    ByHash,
    /// It may be lost.
    Lost,
}

/// Connections that have not been taken up yet.
#[derive(Default)]
pub struct Recovery {
    awaited: Vec<UnderWay>,
    given_up: Vec<usize>,
    /// The guests that serve them, and the calls that they are.
    served: Vec<(FlowKey, Name, usize)>,
    /// Flows that began when two reals or more were out of the choice.
    far: Vec<FlowKey>,
}

impl Recovery {
    /// What becomes of these connections, now that `before` is no more.
    pub fn begin(&mut self, before: &Dataplane, under_way: &[UnderWay]) -> Vec<(usize, Prospect)> {
        let was_awaited = |call: usize| self.awaited.iter().any(|awaited| awaited.call == call);
        let prospect = |way: &UnderWay| match flow_of(before, way) {
            Some(flow) => prospect(before, flow, self.far.contains(flow.key(Direction::ToReal))),
            None if was_awaited(way.call) || !looks_balanced(before, way) => Prospect::Owed,
            None => Prospect::Lost,
        };
        let prospects: Vec<_> = under_way.iter().map(|way| (way.call, prospect(way))).collect();
        self.served = under_way.iter().filter_map(|way| self.served_by(before, way)).collect();
        self.awaited = under_way.to_vec();
        prospects
    }

    fn served_by(&self, before: &Dataplane, way: &UnderWay) -> Option<(FlowKey, Name, usize)> {
        let known = self.served.iter().find(|(_, _, call)| *call == way.call);
        let now = flow_of(before, way).map(|flow| {
            let real = before.tables().real(flow.real).expect("a real with a flow");
            (*flow.key(Direction::ToReal), real.spec.guest.clone(), way.call)
        });
        now.or_else(|| known.cloned())
    }

    /// Looks at the flows that have begun just now, new ones and those that go on.
    pub fn watch(&mut self, plane: &Dataplane, now: Instant) {
        let tables = plane.tables();
        for flow in plane.flows().iter().filter(|flow| flow.started == now) {
            let key = flow.key(Direction::ToReal);
            let service = tables.real(flow.real).expect("a real with a flow").service;
            let reals = &tables.service(service).expect("its service").reals;
            let is_out = |&id: &RealId| {
                let standing = plane.standing(id, now).expect("a real of a service");
                id != flow.real && standing.eligibility.is_err()
            };
            let out: Vec<_> = reals.iter().copied().filter(is_out).collect();
            let goes_on = self.served.iter().any(|(of, ..)| of == key);
            self.far.retain(|far| far != key || goes_on);
            if out.len() >= 2 {
                self.far.push(*key);
            }
            let guests = out.iter().filter_map(|&id| Some(&tables.real(id)?.spec.guest));
            let guests: Vec<_> = guests.collect();
            let lost = self.served.iter().filter(|(of, by, _)| of == key && guests.contains(&by));
            self.given_up.extend(lost.map(|(_, _, call)| *call));
        }
    }

    /// The configuration is about to change: who has not been heard by now is not taken up.
    pub fn end(&mut self, plane: &Dataplane) {
        let is_balanced = |way: &UnderWay| matches!(way.target, Target::Service(_));
        let is_late = |way: &UnderWay| is_balanced(way) && flow_of(plane, way).is_none();
        let awaited = std::mem::take(&mut self.awaited);
        self.given_up.extend(awaited.into_iter().filter(is_late).map(|way| way.call));
    }

    /// Calls that have become hopeless since it was asked last.
    pub fn given_up(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.given_up)
    }
}

/// Whether a command changes who serves what.
pub fn ends_recovery(command: &Command) -> bool {
    !matches!(
        command,
        Command::SetPort { .. } | Command::SetLink { .. } | Command::Administer { .. }
    )
}

/// The commands that make another switch what this one is, but for its flows.
pub fn configuration(plane: &Dataplane) -> Vec<Command> {
    let tables = plane.tables();
    let ports = tables.ports().flat_map(|(port, spec)| {
        let Port { name, role, rules, link_up } = spec.clone();
        [
            Command::SetPort { port, name, role },
            Command::SetPortRules { port, rules },
            Command::SetLink { port, up: link_up },
        ]
    });
    let guests = tables.guests().map(|(_, guest)| Command::SetGuest(guest.spec.clone()));
    let services = tables.services().filter(|(_, service)| !service.retired);
    let services = services.flat_map(|(_, service)| {
        let name = &service.spec.name;
        let reals = service.reals.iter().filter_map(|&id| tables.real(id));
        let reals = reals.flat_map(|real| {
            let administer = Command::Administer {
                service: Some(name.clone()),
                guest: real.spec.guest.clone(),
                state: real.admin,
            };
            [Command::SetReal { service: name.clone(), real: real.spec.clone() }, administer]
        });
        std::iter::once(Command::SetService(service.spec.clone())).chain(reals).collect::<Vec<_>>()
    });
    ports.chain(guests).chain(services).collect()
}

fn flow_of<'a>(plane: &'a Dataplane, way: &UnderWay) -> Option<&'a Flow> {
    plane.flows().iter().find(|flow| {
        let (client, vip) = (flow.client(), flow.vip());
        let ends = [(client.address.into(), client.port), (vip.address.into(), vip.port)];
        let called = [(way.local.ip(), way.local.port()), (way.remote.ip(), way.remote.port())];
        (flow.vlan(), flow.protocol(), ends) == (way.vlan, Protocol::Tcp, called)
    })
}

fn prospect(before: &Dataplane, flow: &Flow, is_far: bool) -> Prospect {
    let tables = before.tables();
    let real = tables.real(flow.real).expect("a real with a flow");
    let service = tables.service(real.service).expect("its service");
    let end = flow.real_end();
    let end = SocketAddr::new(end.address.into(), end.port);
    let is_clear = reals_at(before, real.guest, flow.vlan(), end) == 1;
    let has_own_port = flow.client_at_real().port == flow.client().port;
    let is_begun = flow.state != FlowState::Embryonic;
    match is_begun && is_clear && has_own_port && !real.retired {
        false => Prospect::Lost,
        true if !is_by_hash(service.spec.scheduler) => Prospect::Owed,
        true if is_far => Prospect::Lost,
        true => Prospect::ByHash,
    }
}

fn is_by_hash(scheduler: Scheduler) -> bool {
    matches!(scheduler, Scheduler::Mh | Scheduler::Sh | Scheduler::ShPort)
}

/// Whether a call has the looks of one to a service: a real is at the end that it goes to.
fn looks_balanced(before: &Dataplane, way: &UnderWay) -> bool {
    match way.target {
        Target::Service(_) => true,
        Target::Guest { end, .. } => {
            let mut guests = before.tables().guests();
            guests.any(|(guest, _)| reals_at(before, guest, way.vlan, end) > 0)
        }
    }
}

/// How many TCP reals of a guest have this end.
fn reals_at(before: &Dataplane, guest: GuestId, vlan: u16, end: SocketAddr) -> usize {
    let tables = before.tables();
    let addresses = tables.guest(guest).map_or(&[][..], |guest| &guest.spec.addresses[..]);
    let is_here = |real: &Real| {
        let spec = &tables.service(real.service).expect("a real's service").spec;
        let is_at = match spec.forwarding {
            Forwarding::Nat => addresses.contains(&end.ip()),
            Forwarding::Direct => spec.vip == end.ip(),
        };
        let port = real.spec.port.unwrap_or(spec.port).get();
        let is_alike = spec.vip.is_ipv4() == end.is_ipv4() && spec.protocol == Protocol::Tcp;
        is_at && is_alike && (port, spec.vlan) == (end.port(), vlan)
    };
    let reals = tables.reals().filter(|(_, real)| real.guest == guest && !real.retired);
    reals.filter(|(_, real)| is_here(real)).count()
}
