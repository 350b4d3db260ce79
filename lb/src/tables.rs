//! What is configured and how it stands: ports, guests, services, reals.
//!
//! One writer, [`Tables::apply`]: a command is checked in full, then applied in full, and the
//! epoch grows by one. Slots are numbers that flows keep; a slot that a flow may still name is not
//! given to anybody else. What is removed only retires: its flows go on until they end.

mod bindings;
mod check;
mod ejections;
mod hops;
mod lists;
mod mirrors;
mod own;
mod placements;
mod ports;
mod preview;
mod reach;
mod severances;
mod standings;
mod vips;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::IpAddr;

use crate::flow::Gone;
use crate::guest::neighbor::Neighbor;
use crate::limits::{GUESTS_MAX, PORTS_MAX, REALS_MAX, SERVICE_REALS_MAX, SERVICES_MAX};
use crate::service::passive::FlowFailure;
use crate::service::{Announcements, Empty, Forwarding};
use crate::switch::mtu::Mtus;
use crate::wire::ip::Version;
use crate::wire::{Address, Endpoint};
use crate::{
    AdminState, Command, Guest, GuestId, GuestSpec, Identity, Instant, MacAddr, Mirrors, Name,
    Port, PortId, PortSet, Protocol, Real, RealId, RealSpec, Refusal, Role, Service, ServiceId,
    ServiceSpec,
};
pub(crate) use bindings::{Bindings, Bound};
use hops::Hops;
pub(crate) use lists::{Access, Lists};
use own::Own;
pub use placements::Placements;
pub(crate) use preview::Preview;
pub(crate) use reach::Reach;
pub use standings::SLICE;
use standings::Standings;
use vips::VipIndex;

pub struct Tables {
    ports: [Option<Port>; PORTS_MAX],
    guests: Box<[Option<Guest>]>,
    services: Box<[Option<Service>]>,
    reals: Box<[Option<Real>]>,
    bindings: Bindings,
    hops: Hops,
    lists: Lists,
    mirrors: Mirrors,
    identity: Option<Box<Identity>>,
    vips: VipIndex,
    own: Own,
    placements: Placements,
    standings: Standings,
    sets: PortSets,
    reach: Reach,
    mtus: Mtus,
    ends: Ends,
    epoch: u64,
}

/// Behind the last slot of each table that is in use: slots are given out from the first on, and who
/// looks round looks no further.
#[derive(Clone, Copy, Debug, Default)]
struct Ends {
    ports: usize,
    guests: usize,
    services: usize,
    reals: usize,
}

/// Ports by a property that the data path asks for on every frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortSets {
    /// Link is up.
    pub up: PortSet,
    pub uplinks: PortSet,
    /// A guest with a real, retired ones included, sits here.
    pub with_reals: PortSet,
    /// A guest here is probed from an address of its own network, for which the switch stands in.
    pub with_probe_sources: PortSet,
    /// What is sent from here is held against something: a guest's definition, or an access list.
    pub held: PortSet,
}

impl Tables {
    pub fn new() -> Tables {
        Tables {
            ports: [const { None }; PORTS_MAX],
            guests: empty_slots(GUESTS_MAX),
            services: empty_slots(SERVICES_MAX),
            reals: empty_slots(REALS_MAX),
            bindings: Bindings::new(),
            hops: hops::none(),
            lists: Lists::new(),
            mirrors: Mirrors::default(),
            identity: None,
            vips: VipIndex::default(),
            own: Own::default(),
            placements: Placements::default(),
            standings: Standings::new(),
            sets: PortSets::default(),
            reach: Reach::new(),
            mtus: Mtus::new(),
            ends: Ends::default(),
            epoch: 0,
        }
    }

    /// The number of changes so far.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Applies a command whole or refuses it whole.
    pub fn apply(&mut self, command: &Command, now: Instant) -> Result<(), Refusal> {
        match command {
            Command::SetPort { port, name, role } => self.set_port(*port, name, *role)?,
            Command::SetPortRules { port, rules } => self.set_port_rules(*port, rules, now)?,
            Command::SetLink { port, up } => self.set_link(*port, *up, now)?,
            Command::SetGuest(spec) => self.set_guest(spec)?,
            Command::DeleteGuest(name) => self.delete_guest(name)?,
            Command::SetService(spec) => self.set_service(spec, now)?,
            Command::DeleteService(name) => self.delete_service(name)?,
            Command::SetReal { service, real } => self.set_real(service, real)?,
            Command::DeleteReal { service, guest } => self.delete_real(service, guest)?,
            Command::CutReal { service, guest } => self.cut_real(service, guest)?,
            Command::Administer { service, guest, state } => {
                self.administer(service.as_ref(), guest, *state)?;
            }
            Command::SetManagement(spec) => self.set_management(spec.as_deref(), now)?,
            Command::SetMirror(spec) => self.set_mirror(spec, now)?,
            Command::DeleteMirror(name) => self.delete_mirror(name, now),
            Command::SetIdentity(identity) => self.identity.clone_from(identity),
            // Of the FDB alone, and of groups.
            Command::SetMac { .. }
            | Command::DeleteMac { .. }
            | Command::SetAgeing(_)
            | Command::SetGroups(_) => {}
        }
        self.epoch += 1;
        self.collect();
        self.ask_guests(now);
        self.look_at_all_severances(now);
        Ok(())
    }

    /// What the appliance says of itself.
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_deref()
    }

    // Guests.

    pub fn guests(&self) -> impl Iterator<Item = (GuestId, &Guest)> {
        slots(&self.guests).map(|(at, guest)| (GuestId(at), guest))
    }

    pub fn guest(&self, id: GuestId) -> Option<&Guest> {
        self.guests[id.index()].as_ref()
    }

    pub fn guest_by_name(&self, name: &Name) -> Option<GuestId> {
        self.guests().find(|(_, guest)| guest.spec.name == *name).map(|(id, _)| id)
    }

    /// The guest with this MAC behind this port.
    pub fn guest_at(&self, port: PortId, mac: MacAddr) -> Option<GuestId> {
        self.bindings.at(port, mac).map(|bound| bound.guest)
    }

    /// All guests, and where frames to them may go.
    pub(crate) fn guests_and_reach(&mut self) -> (impl Iterator<Item = &mut Guest>, &Reach) {
        (self.guests[..self.ends.guests].iter_mut().flatten(), &self.reach)
    }

    pub(crate) fn guest_mut(&mut self, id: GuestId) -> Option<&mut Guest> {
        self.guests[id.index()].as_mut()
    }

    fn set_guest(&mut self, spec: &GuestSpec) -> Result<(), Refusal> {
        let known = self.guest_by_name(&spec.name);
        self.check_guest(spec, known)?;
        self.check_no_mirrors(spec.port)?;
        if let Some(guest) = known.and_then(|id| self.guest_mut(id)) {
            guest.redefine(spec.clone());
            return Ok(());
        }
        let in_use = |at: usize| self.reals().any(|(_, real)| real.guest.index() == at);
        let at = free_slot(&self.guests, in_use)
            .ok_or(Refusal::Full { table: "guests", max: GUESTS_MAX })?;
        self.guests[at] = Some(Guest::new(spec.clone()));
        Ok(())
    }

    fn delete_guest(&mut self, name: &Name) -> Result<(), Refusal> {
        let id = self.need_guest(name)?;
        let user = self.reals().find(|(_, real)| real.guest == id && !real.retired);
        if let Some(service) = user.and_then(|(_, real)| self.service(real.service)) {
            let service = service.spec.name.clone();
            return Err(Refusal::GuestInUse { guest: name.clone(), service });
        }
        self.guests[id.index()] = None;
        Ok(())
    }

    fn need_guest(&self, name: &Name) -> Result<GuestId, Refusal> {
        self.guest_by_name(name).ok_or_else(|| Refusal::UnknownGuest(name.clone()))
    }

    // Services.

    pub fn services(&self) -> impl Iterator<Item = (ServiceId, &Service)> {
        let all = slots(&self.services).map(|(at, service)| (ServiceId(at), service));
        all.filter(|(_, service)| !service.retired)
    }

    pub fn service(&self, id: ServiceId) -> Option<&Service> {
        self.services[id.index()].as_ref()
    }

    pub fn service_by_name(&self, name: &Name) -> Option<ServiceId> {
        self.services().find(|(_, service)| service.spec.name == *name).map(|(id, _)| id)
    }

    /// The service that listens at this end of a packet.
    pub fn service_at(&self, vlan: u16, end: Endpoint, protocol: Protocol) -> Option<ServiceId> {
        self.vips.find(vlan, end, protocol)
    }

    /// Whether some service in this VLAN has this address.
    pub fn is_vip(&self, vlan: u16, address: impl Into<Address>) -> bool {
        self.vips.has(vlan, address.into())
    }

    /// Whether an address is a VIP, or the appliance's own.
    #[inline(always)]
    pub(crate) fn has(&self, vlan: u16, address: Address) -> bool {
        self.vips.has_any(vlan, address)
    }

    /// Whether the switch itself has this MAC: its own, a VIP's, or the management address's.
    pub fn is_virtual(&self, mac: MacAddr) -> bool {
        mac.looks_ours() && (mac == MacAddr::SWITCH || self.vips.has_mac(mac))
    }

    /// Whether the guest with this MAC behind this port has the VIP on a loopback: it serves it by
    /// `direct` forwarding, if only flows of before.
    pub fn has_on_loopback(&self, port: PortId, mac: MacAddr, vlan: u16, vip: IpAddr) -> bool {
        let Some(guest) = self.guest_at(port, mac) else {
            return false;
        };
        let mut of_guest = self.reals().filter(|(_, real)| real.guest == guest);
        of_guest.any(|(_, real)| {
            self.service(real.service).is_some_and(|Service { spec, .. }| {
                (spec.vip, spec.vlan, spec.forwarding) == (vip, vlan, Forwarding::Direct)
            })
        })
    }

    pub(crate) fn service_mut(&mut self, id: ServiceId) -> Option<&mut Service> {
        self.services[id.index()].as_mut()
    }

    /// All services, retired ones too, and where frames about them may go.
    pub(crate) fn services_and_reach(&mut self) -> (impl Iterator<Item = &mut Service>, &Reach) {
        (self.services[..self.ends.services].iter_mut().flatten(), &self.reach)
    }

    /// When the next address of a guest is to be asked for, or one of ours announced.
    pub(crate) fn next_word(&self) -> Option<Instant> {
        let Ends { guests, services, .. } = self.ends;
        let guests = self.guests[..guests].iter().flatten();
        let questions = guests.flat_map(|guest| &guest.neighbors).map(Neighbor::next);
        let services = self.services[..services].iter().flatten().filter(|s| !s.retired);
        let of_services = services.map(|service| service.announcements.next());
        let own = self.held().iter().map(|held| held.announcements.next());
        questions.chain(of_services).chain(own).min()
    }

    fn set_service(&mut self, spec: &ServiceSpec, now: Instant) -> Result<(), Refusal> {
        let known = self.service_by_name(&spec.name);
        self.check_service(spec, known)?;
        let at = match known {
            Some(id) => id.index(),
            None => free_slot(&self.services, |_| false)
                .ok_or(Refusal::Full { table: "services", max: SERVICES_MAX })?,
        };
        let id = ServiceId(at as u16);
        let has_sorry = self.service(id).is_some_and(|service| service.spec.empty == spec.empty);
        let sorry_slot = free_slot(&self.reals, |_| false);
        if matches!(spec.empty, Empty::Sorry(_)) && !has_sorry && sorry_slot.is_none() {
            return Err(Refusal::Full { table: "reals", max: REALS_MAX });
        }
        self.placements.fit(id, spec)?;
        let service = self.services[at].get_or_insert_with(|| Service::new(spec.clone(), now));
        service.spec = spec.clone();
        service.announcements = Announcements::due(now);
        if !has_sorry {
            self.set_sorry(id, sorry_slot);
        }
        Ok(())
    }

    /// Retires the sorry real of before and makes the one that the service names now.
    fn set_sorry(&mut self, id: ServiceId, slot: Option<usize>) {
        let Some(service) = self.services[id.index()].as_mut() else {
            return;
        };
        let before = service.sorry.take();
        let wanted = match &service.spec.empty {
            Empty::Sorry(guest) => Some(guest.clone()),
            Empty::Drop | Empty::Reset => None,
        };
        if let Some(real) = before.and_then(|id| self.real_mut(id)) {
            real.retired = true;
        }
        let guest_id = wanted.as_ref().and_then(|guest| self.guest_by_name(guest));
        if let (Some(guest), Some(guest_id), Some(at)) = (wanted, guest_id, slot) {
            self.reals[at] = Some(Real::new(id, guest_id, RealSpec::new(guest)));
            self.services[id.index()].iter_mut().for_each(|s| s.sorry = Some(RealId(at as u16)));
        }
    }

    fn delete_service(&mut self, name: &Name) -> Result<(), Refusal> {
        let id = self.need_service(name)?;
        if let Some(service) = self.service_mut(id) {
            service.retired = true;
            service.reals.clear();
            service.sorry = None;
        }
        self.placements.remove(id);
        for real in self.reals_mut().filter(|real| real.service == id) {
            real.retired = true;
        }
        Ok(())
    }

    fn need_service(&self, name: &Name) -> Result<ServiceId, Refusal> {
        self.service_by_name(name).ok_or_else(|| Refusal::UnknownService(name.clone()))
    }

    // Reals.

    pub fn reals(&self) -> impl Iterator<Item = (RealId, &Real)> {
        slots(&self.reals).map(|(at, real)| (RealId(at), real))
    }

    pub fn real(&self, id: RealId) -> Option<&Real> {
        self.reals[id.index()].as_ref()
    }

    /// The real of a service on a guest.
    pub fn real_by_name(&self, service: &Name, guest: &Name) -> Option<RealId> {
        let service = self.service(self.service_by_name(service)?)?;
        let is_it = |id: &RealId| self.real(*id).is_some_and(|real| real.spec.guest == *guest);
        service.reals.iter().copied().find(is_it)
    }

    pub(crate) fn real_mut(&mut self, id: RealId) -> Option<&mut Real> {
        self.reals[id.index()].as_mut()
    }

    pub(crate) fn reals_mut(&mut self) -> impl Iterator<Item = &mut Real> {
        self.reals.iter_mut().flatten()
    }

    /// A flow has left the flow table; a retired real goes with its last one.
    pub(crate) fn flow_gone(&mut self, gone: Gone) {
        let Some(real) = self.real_mut(gone.real) else {
            return;
        };
        real.flows_held -= 1;
        let is_last = real.retired && real.flows_held == 0;
        if gone.was_open {
            self.flow_closed(gone.real, gone.was_waiting);
        }
        if let Some(now) = gone.unanswered_at {
            self.failed(gone.real, FlowFailure::Unanswered, now);
        }
        if is_last {
            self.collect();
        }
    }

    fn set_real(&mut self, service: &Name, spec: &RealSpec) -> Result<(), Refusal> {
        let service_id = self.need_service(service)?;
        let guest_id = self.need_guest(&spec.guest)?;
        if let Some(service) = self.service(service_id) {
            self.check_real(&service.spec, spec)?;
        }
        if let Some(id) = self.real_by_name(service, &spec.guest) {
            if let Some(real) = self.real_mut(id) {
                real.spec = spec.clone();
            }
            return Ok(());
        }
        let at = free_slot(&self.reals, |_| false)
            .ok_or(Refusal::Full { table: "reals", max: REALS_MAX })?;
        let full = Refusal::Full { table: "reals of one service", max: SERVICE_REALS_MAX };
        let unknown = || Refusal::UnknownService(service.clone());
        let owner = self.service_mut(service_id).ok_or_else(unknown)?;
        owner.reals.push(RealId(at as u16)).map_err(|_| full)?;
        self.reals[at] = Some(Real::new(service_id, guest_id, spec.clone()));
        Ok(())
    }

    fn delete_real(&mut self, service: &Name, guest: &Name) -> Result<(), Refusal> {
        let service_id = self.need_service(service)?;
        let id = self.need_real(service, guest)?;
        if let Some(service) = self.service_mut(service_id) {
            service.reals.retain(|&member| member != id);
        }
        if let Some(real) = self.real_mut(id) {
            real.retired = true;
        }
        Ok(())
    }

    /// Removes a real, unless it went before, and has nobody wait for its flows.
    fn cut_real(&mut self, service: &Name, guest: &Name) -> Result<(), Refusal> {
        let removed = self.delete_real(service, guest);
        let Tables { services, reals, .. } = self;
        let is_it = |real: &&mut Real| {
            let of = services[real.service.index()].as_ref();
            real.retired
                && real.spec.guest == *guest
                && of.is_some_and(|of| of.spec.name == *service)
        };
        let mut gone = reals.iter_mut().flatten().filter(is_it).peekable();
        if gone.peek().is_none() {
            return removed;
        }
        gone.for_each(|real| real.severance.is_cut = true);
        Ok(())
    }

    fn administer(
        &mut self,
        service: Option<&Name>,
        guest: &Name,
        state: AdminState,
    ) -> Result<(), Refusal> {
        let guest_id = self.need_guest(guest)?;
        if let Some(service) = service {
            self.need_service(service)?;
            let id = self.need_real(service, guest)?;
            if let Some(real) = self.real_mut(id) {
                real.admin = state;
            }
            return Ok(());
        }
        let mut of_guest =
            self.reals_mut().filter(|r| r.guest == guest_id && !r.retired).peekable();
        if of_guest.peek().is_none() {
            return Err(Refusal::NoReals(guest.clone()));
        }
        of_guest.for_each(|real| real.admin = state);
        Ok(())
    }

    fn need_real(&self, service: &Name, guest: &Name) -> Result<RealId, Refusal> {
        let (service_name, guest_name) = (service.clone(), guest.clone());
        self.real_by_name(service, guest)
            .ok_or(Refusal::UnknownReal { service: service_name, guest: guest_name })
    }

    /// Takes away what is retired and that no flow names any more.
    fn collect(&mut self) {
        for slot in &mut self.reals {
            slot.take_if(|real| real.retired && real.flows_held == 0);
        }
        let Tables { services, reals, .. } = self;
        for (at, slot) in services.iter_mut().enumerate() {
            let is_of_it = |real: &Real| real.service.index() == at;
            slot.take_if(|s| s.retired && !reals.iter().flatten().any(is_of_it));
        }
        self.index();
    }

    /// Has the guests asked for the addresses that reals are reached by.
    fn ask_guests(&mut self, now: Instant) {
        let Tables { guests, reals, services, .. } = self;
        for (at, guest) in guests.iter_mut().enumerate() {
            let Some(guest) = guest else {
                continue;
            };
            let of_guest = reals.iter().flatten().filter(|r| r.guest.index() == at && !r.retired);
            let served = of_guest.filter_map(|real| services[real.service.index()].as_ref());
            let vlan_of = |version: Version| {
                let alike = served.clone().filter(|s| Version::of(s.spec.vip) == version);
                // One that is reached in several VLANs is asked for in one.
                alike.map(|service| service.spec.vlan).min().map(|vlan| (version, vlan))
            };
            let wanted = [Version::V4, Version::V6].into_iter().filter_map(vlan_of);
            let wanted: heapless::Vec<(Version, u16), 2> = wanted.collect();
            guest.ask_for(&wanted, now);
        }
    }

    /// Makes anew what is only read out of the tables; changes are rare and the tables small.
    fn index(&mut self) {
        self.ends = Ends {
            ports: end(&self.ports),
            guests: end(&self.guests),
            services: end(&self.services),
            reals: end(&self.reals),
        };
        self.map_hops();
        self.map_bindings();
        self.compile_lists();
        let up = self.ports().filter(|(_, port)| port.link_up).map(|(id, _)| id);
        let up = up.collect::<PortSet>().minus(self.closed());
        let is_uplink = |&(_, port): &(PortId, &Port)| port.role == Role::Uplink;
        let uplinks = self.ports().filter(is_uplink).map(|(id, _)| id).collect();
        let guest_of = |(_, real): (RealId, &Real)| Some(self.guest(real.guest)?.spec.port);
        let with_reals = self.reals().filter_map(guest_of).collect();
        let has_sources = |guest: &&Guest| !guest.spec.probe_sources.is_empty();
        let probed = self.guests().map(|(_, guest)| guest).filter(has_sources);
        let with_probe_sources = probed.map(|guest| guest.spec.port).collect();
        let with_lists = self.lists.ports();
        let held = self.bindings.with_guests().chain(with_lists).collect();
        self.sets = PortSets { up, uplinks, with_reals, with_probe_sources, held };
        let services = slots(&self.services).map(|(at, s)| (ServiceId(at), s));
        let own_mac = self.management().map(|own| own.mac);
        self.vips = VipIndex::new(services, own_mac, self.own.places());
    }
}

impl Default for Tables {
    fn default() -> Self {
        Tables::new()
    }
}

fn empty_slots<T>(count: usize) -> Box<[Option<T>]> {
    let mut slots = Vec::with_capacity(count);
    slots.resize_with(count, || None);
    slots.into_boxed_slice()
}

fn slots<T>(slots: &[Option<T>]) -> impl Iterator<Item = (u16, &T)> {
    (0u16..).zip(slots).filter_map(|(at, slot)| Some((at, slot.as_ref()?)))
}

fn end<T>(slots: &[Option<T>]) -> usize {
    slots.iter().rposition(Option::is_some).map_or(0, |last| last + 1)
}

/// A slot that is empty and that nobody still refers to.
fn free_slot<T>(slots: &[Option<T>], in_use: impl Fn(usize) -> bool) -> Option<usize> {
    (0..slots.len()).find(|&at| slots[at].is_none() && !in_use(at))
}
