//! The switch under test: the one place that calls it, and what must hold of it at every moment.

use std::collections::BTreeMap;

use lb::flow::{Flow, FlowKey, FlowState};
use lb::service::RealCounters;
use lb::wire::ip::Version;
use lb::*;

use super::Nanos;
use super::plan::{Admin, Plan, ServicePlan, Step, Transport, Way};
use super::restart::{Prospect, Recovery, UnderWay, configuration, ends_recovery};
use super::wishes::Wishes;

const UPLINK: usize = 0;
const WEIGHT: u16 = 100;
const CAPACITY: Capacity = Capacity { flows: 1024, macs: 256, clients: 256 };

pub struct Switch {
    plane: Dataplane,
    plan: Plan,
    wishes: Wishes,
    /// Frames handed in, port by port.
    received: Vec<u64>,
    /// Flows of connections that were established when they were looked at last.
    established: Vec<Pinned>,
    /// New flows whose choice has been looked at, and when.
    chosen: (Nanos, Vec<FlowKey>),
    recovery: Recovery,
}

/// Which flow it is, and where.
struct Pinned {
    key: FlowKey,
    started: Instant,
    real: RealId,
}

/// A frame that leaves.
pub struct Egress {
    pub port: usize,
    pub bytes: Vec<u8>,
    /// The switch has made it, and not only passed it on.
    pub is_own: bool,
}

/// The port that a station is connected to.
pub fn port_of(plan: &Plan, station: usize) -> usize {
    if plan.is_guest(station) { station + 1 } else { UPLINK }
}

impl Switch {
    /// A switch with all links up, and everything of the plan defined.
    pub fn new(plan: &Plan, now: Nanos) -> Switch {
        let mut switch = Switch {
            plane: Dataplane::new(CAPACITY, plan.secret),
            plan: plan.clone(),
            wishes: Wishes::new(plan),
            received: vec![0; plan.guests + 1],
            established: Vec::new(),
            chosen: (now, Vec::new()),
            recovery: Recovery::default(),
        };
        for at in 0..=plan.guests {
            let (name, role) = match at {
                UPLINK => (name("u", 0), Role::Uplink),
                _ => (name("p", at), Role::Guest),
            };
            assert!(switch.apply(Command::SetPort { port: port(at), name, role }, now));
        }
        assert!(switch.apply(Command::SetLink { port: port(UPLINK), up: true }, now));
        switch.heal(now);
        if plan.is_started {
            switch.plane.start(instant(now));
        }
        switch
    }

    /// Another switch with the configuration of this one; what that means for connections.
    pub fn restart(
        &mut self,
        secret: u64,
        under_way: &[UnderWay],
        now: Nanos,
    ) -> Vec<(usize, Prospect)> {
        let commands = configuration(&self.plane);
        let prospects = self.recovery.begin(&self.plane, under_way);
        self.plane = Dataplane::new(CAPACITY, secret);
        for command in commands {
            self.plane.apply(&command, instant(now)).expect("what held before");
        }
        self.plane.start(instant(now));
        self.received.fill(0);
        self.established.clear();
        prospects
    }

    /// Connections of before the last restart that may have become hopeless since.
    pub fn given_up(&mut self) -> Vec<usize> {
        self.recovery.given_up()
    }

    /// The services for whose placement a step matters.
    pub fn disturbed(&self, step: Step) -> Vec<usize> {
        let all = 0..self.plan.services.len();
        match step {
            Step::Administer { service: Some(service), .. }
            | Step::SetReal { service, .. }
            | Step::DeleteReal { service, .. }
            | Step::SetService { service, .. }
            | Step::DeleteService { service } => vec![service],
            Step::Boast { .. } | Step::RestartSwitch { .. } => Vec::new(),
            Step::Administer { service: None, guest, .. }
            | Step::Link { guest, .. }
            | Step::Silence { guest, .. }
            | Step::Agent { guest, .. }
            | Step::Restart { guest }
            | Step::Remove { guest }
            | Step::Define { guest } => {
                let has = |&service: &usize| {
                    let (service, guest) = (name("s", service), name("g", guest));
                    self.plane.tables().real_by_name(&service, &guest).is_some()
                };
                all.filter(has).collect()
            }
        }
    }

    /// Everything is again as it was at first.
    pub fn heal(&mut self, now: Nanos) {
        for guest in 0..self.plan.guests {
            self.step(Step::Silence { guest, silent: false }, now);
            self.step(Step::Define { guest }, now);
        }
        for service in 0..self.plan.services.len() {
            let ServicePlan { scheduler, reals, .. } = self.plan.services[service].clone();
            self.step(Step::SetService { service, scheduler }, now);
            for guest in reals {
                self.step(set_first(service, guest), now);
                let state = Admin::Ready;
                self.step(Step::Administer { service: Some(service), guest, state }, now);
            }
        }
    }

    /// A frame in; the frames out.
    pub fn receive(&mut self, ingress: usize, mut frame: Vec<u8>, now: Nanos) -> Vec<Egress> {
        self.received[ingress] += 1;
        let created = self.plane.flows().counters().created;
        let verdict = decide(&mut self.plane, port(ingress), &mut frame, instant(now));
        if self.plane.flows().counters().created > created {
            self.check_choice(now);
            self.recovery.watch(&self.plane, instant(now));
        }
        let ports = match verdict {
            Verdict::Forward(port) => PortSet::EMPTY.with(port),
            Verdict::Flood(ports) => ports,
            Verdict::Reply => PortSet::EMPTY.with(port(ingress)),
            Verdict::Hold | Verdict::Drop(_) => PortSet::EMPTY,
            Verdict::Punt => {
                self.plane.local(port(ingress), &frame, instant(now));
                PortSet::EMPTY
            }
        };
        let copy =
            |port: PortId| Egress { port: port.index(), bytes: frame.clone(), is_own: false };
        ports.map(copy).chain(self.originated()).collect()
    }

    pub fn housekeep(&mut self, now: Nanos) -> Vec<Egress> {
        self.plane.housekeep(instant(now));
        while self.plane.events().pop().is_some() {}
        self.originated().collect()
    }

    /// Does one step of the script, as far as things are so that it can be done.
    pub fn step(&mut self, step: Step, now: Nanos) {
        let first_reals = self.first_reals(step);
        if self.commands(step).into_iter().all(|command| self.apply(command, now)) {
            self.wishes.take(step, now);
        }
        for (service, guest) in first_reals {
            self.step(set_first(service, guest), now);
        }
        self.check();
    }

    /// What must hold after every step.
    pub fn check(&mut self) {
        for at in 0..self.received.len() {
            let endings = self.plane.endings(port(at));
            assert_eq!(endings.rx, self.received[at], "every frame is counted, port {at}");
            assert_eq!(endings.sum(), self.received[at], "every frame ends once, port {at}");
        }
        assert_eq!((self.plane.outbox_lost(), self.plane.events_lost()), (0, 0));
        let (tables, flows) = (self.plane.tables(), self.plane.flows());
        let members = tables.services().flat_map(|(_, service)| service.reals.iter().copied());
        let mut counts: BTreeMap<RealId, [u32; 2]> = members.map(|id| (id, [0; 2])).collect();
        for flow in flows.iter() {
            let [open, waiting] = counts.entry(flow.real).or_default();
            *open += u32::from(flow.is_open());
            *waiting += u32::from(flow.is_waiting());
        }
        for (id, [open, waiting]) in counts {
            let real = tables.real(id).expect("a real stays until its last flow ends");
            let RealCounters { flows_open, flows_waiting, flows_new, flows_ended, .. } =
                real.counters;
            assert_eq!((flows_open, flows_waiting), (open, waiting), "{real:?}");
            assert_eq!(flows_new - flows_ended, u64::from(open), "{real:?}");
        }
        self.check_established();
    }

    /// Nothing is open any more but what lost calls have left.
    pub fn check_calls_are_over(&self, lost: usize) {
        let flows = self.plane.flows();
        // What a damaged SYN has begun is nobody's call and ends by itself.
        let is_left = |flow: &&Flow| {
            let is_begun = matches!(flow.state, FlowState::Established | FlowState::Closing);
            is_begun && self.protocol_of(flow) == Protocol::Tcp
        };
        let left: Vec<_> = flows.iter().filter(is_left).collect();
        assert!(left.len() <= lost, "{lost} calls were lost, and open is {left:#?}");
    }

    /// Nobody has called for longer than any flow lives: nothing is left of what was.
    pub fn check_is_empty(&self) {
        let flows: Vec<_> = self.plane.flows().iter().collect();
        assert!(flows.is_empty(), "{flows:#?}");
        let retired: Vec<_> =
            self.plane.tables().reals().filter(|(_, real)| real.retired).collect();
        assert!(retired.is_empty(), "{retired:#?}");
        for (_, real) in self.plane.tables().reals() {
            assert_eq!(real.counters.flows_open, 0);
        }
        let counters = self.plane.flows().counters();
        assert_eq!(counters.refused, 0, "the table had room");
    }

    /// A connection stays with its real as long as it lasts.
    fn check_established(&mut self) {
        let mut established = Vec::new();
        for flow in self.plane.flows().iter() {
            let key = *flow.key(flow::Direction::ToReal);
            let is_same = |before: &&Pinned| before.key == key && before.started == flow.started;
            if let Some(before) = self.established.iter().find(is_same) {
                assert_eq!(before.real, flow.real, "{flow:?}");
            }
            if matches!(flow.state, FlowState::Established | FlowState::Closing) {
                established.push(Pinned { key, started: flow.started, real: flow.real });
            }
        }
        self.established = established;
    }

    fn protocol_of(&self, flow: &Flow) -> Protocol {
        let tables = self.plane.tables();
        let real = tables.real(flow.real).expect("a real with a flow");
        tables.service(real.service).expect("its service").spec.protocol
    }

    /// Whoever has just been given a flow could be given one: by what the operator said and how
    /// the guests are, and by the switch's own word.
    fn check_choice(&mut self, now: Nanos) {
        if self.chosen.0 != now {
            self.chosen = (now, Vec::new());
        }
        // A flow that a real's own packet has brought back has been given before.
        let is_new = |flow: &&Flow| flow.started == instant(now) && flow.packets_in > 0;
        for flow in self.plane.flows().iter().filter(is_new) {
            // Much can happen in one moment: a flow is looked at when it has just begun.
            let key = *flow.key(flow::Direction::ToReal);
            if self.chosen.1.contains(&key) {
                continue;
            }
            self.chosen.1.push(key);
            let tables = self.plane.tables();
            let real = tables.real(flow.real).expect("a real with a flow");
            let service = tables.service(real.service).expect("its service");
            let guest = tables.guest(real.guest).expect("its guest");
            let version = Version::of(service.spec.vip);
            let is_unproven = guest.health_by(version) == Health::Unknown;
            let eligibility = |id| self.plane.standing(id, instant(now)).map(|s| s.eligibility);
            // It may have become full by this very flow.
            let word = eligibility(flow.real);
            let may_have = matches!(word, Some(Ok(()) | Err(Ineligible::Full)));
            let is_better = |&id: &RealId| eligibility(id) == Some(Ok(()));
            let is_last_resort = is_unproven && !service.reals.iter().any(is_better);
            assert!(may_have || is_last_resort, "a new flow for who is {word:?}: {real:?}");
            let (service, guest) = (number(&service.spec.name), number(&real.spec.guest));
            self.wishes.check_choice(service, guest, is_unproven, now);
        }
    }

    /// The reals that come with a service or a guest that comes back.
    fn first_reals(&self, step: Step) -> Vec<(usize, usize)> {
        let services = self.plan.services.iter().enumerate();
        let firsts = services.flat_map(|(at, plan)| plan.reals.iter().map(move |&of| (at, of)));
        let is_there = |at| self.plane.tables().service_by_name(&name("s", at)).is_some();
        match step {
            Step::SetService { service, .. } if !is_there(service) => {
                firsts.filter(|&(at, _)| at == service).collect()
            }
            Step::Define { guest } => firsts.filter(|&(_, of)| of == guest).collect(),
            _ => Vec::new(),
        }
    }

    /// What a step asks of the switch, one after the other.
    fn commands(&self, step: Step) -> Vec<Command> {
        let guest_name = |guest| name("g", guest);
        let service_name = |service| name("s", service);
        match step {
            Step::Administer { service, guest, state } => {
                let service = service.map(service_name);
                let guest = guest_name(guest);
                vec![Command::Administer { service, guest, state: admin_state(state) }]
            }
            Step::SetReal { service, guest, weight, flows_max } => {
                let port = self.plan.services[service].real_port;
                let port = port.map(|port| port.try_into().expect("no port 0 is drawn"));
                let real = RealSpec { port, weight, flows_max, ..RealSpec::new(guest_name(guest)) };
                vec![Command::SetReal { service: service_name(service), real }]
            }
            Step::DeleteReal { service, guest } => {
                let (service, guest) = (service_name(service), guest_name(guest));
                vec![Command::DeleteReal { service, guest }]
            }
            Step::SetService { service, scheduler } => {
                let plan = &self.plan.services[service];
                vec![Command::SetService(service_spec(service, plan, scheduler))]
            }
            Step::DeleteService { service } => vec![Command::DeleteService(service_name(service))],
            Step::Link { guest, up } => vec![Command::SetLink { port: port(guest + 1), up }],
            Step::Remove { guest } => {
                let link_down = Command::SetLink { port: port(guest + 1), up: false };
                let services = self.services_with(guest).into_iter().map(service_name);
                let delete = |service| Command::DeleteReal { service, guest: guest_name(guest) };
                let goes = Command::DeleteGuest(guest_name(guest));
                [link_down].into_iter().chain(services.map(delete)).chain([goes]).collect()
            }
            Step::Define { guest } => {
                let link_up = Command::SetLink { port: port(guest + 1), up: true };
                vec![link_up, Command::SetGuest(self.guest_spec(guest))]
            }
            Step::Silence { .. }
            | Step::Agent { .. }
            | Step::Restart { .. }
            | Step::Boast { .. }
            | Step::RestartSwitch { .. } => Vec::new(),
        }
    }

    /// Whether a command was in time; one that comes too late or too early changes nothing.
    fn apply(&mut self, command: Command, now: Nanos) -> bool {
        if ends_recovery(&command) {
            self.recovery.end(&self.plane);
        }
        let epoch = self.plane.tables().epoch();
        let applied = self.plane.apply(&command, instant(now));
        let changes = self.plane.tables().epoch() - epoch;
        match applied {
            Ok(()) => assert_eq!(changes, 1, "{command:?}"),
            Err(
                Refusal::UnknownGuest(_)
                | Refusal::UnknownService(_)
                | Refusal::UnknownReal { .. }
                | Refusal::NoReals(_),
            ) => assert_eq!(changes, 0, "{command:?}"),
            Err(refusal) => panic!("{command:?}: {refusal}"),
        }
        changes > 0
    }

    /// The services that have a real on this guest now.
    fn services_with(&self, guest: usize) -> Vec<usize> {
        let tables = self.plane.tables();
        let is_real =
            |service| tables.real_by_name(&name("s", service), &name("g", guest)).is_some();
        (0..self.plan.services.len()).filter(|&service| is_real(service)).collect()
    }

    fn guest_spec(&self, guest: usize) -> GuestSpec {
        let plan = &self.plan.stations[guest];
        GuestSpec {
            addresses: plan.addresses.iter().copied().collect(),
            ..GuestSpec::new(name("g", guest), port(guest + 1), MacAddr(plan.mac))
        }
    }

    fn originated(&mut self) -> impl Iterator<Item = Egress> + '_ {
        let origins = std::iter::from_fn(|| self.plane.outbox().pop());
        origins.flat_map(|Origin { egress, bytes, .. }| {
            let bytes = bytes.to_vec();
            egress.map(move |port| Egress {
                port: port.index(),
                bytes: bytes.clone(),
                is_own: true,
            })
        })
    }
}

fn set_first(service: usize, guest: usize) -> Step {
    Step::SetReal { service, guest, weight: WEIGHT, flows_max: None }
}

fn decide(plane: &mut Dataplane, ingress: PortId, frame: &mut [u8], now: Instant) -> Verdict {
    plane.receive(ingress, &mut Frame::plain(frame), now)
}

fn service_spec(service: usize, plan: &ServicePlan, scheduler: usize) -> ServiceSpec {
    let protocol = match plan.transport {
        Transport::Tcp => Protocol::Tcp,
        Transport::Udp => Protocol::Udp,
    };
    let port = plan.vip.port().try_into().expect("no port 0 is drawn");
    ServiceSpec {
        scheduler: Scheduler::ALL[scheduler % Scheduler::ALL.len()],
        forwarding: match plan.way {
            Way::Nat => Forwarding::Nat,
            Way::Direct => Forwarding::Direct,
        },
        vlan: plan.vlan,
        // Guests are out of reach for any time, and every stream has to survive that.
        on_down: OnDown::Keep,
        ..ServiceSpec::new(name("s", service), plan.vip.ip(), protocol, port)
    }
}

fn admin_state(state: Admin) -> AdminState {
    match state {
        Admin::Ready => AdminState::Ready,
        Admin::Drain => AdminState::Drain,
        Admin::Maint => AdminState::Maint,
    }
}

fn instant(now: Nanos) -> Instant {
    Instant::from_nanos(now)
}

fn port(at: usize) -> PortId {
    PortId::new(at).expect("few ports")
}

fn name(kind: &str, number: usize) -> Name {
    format!("{kind}{number}").parse().expect("a name")
}

/// The number in a name of ours.
fn number(name: &Name) -> usize {
    name.as_str()[1..].parse().expect("a letter and a number")
}
