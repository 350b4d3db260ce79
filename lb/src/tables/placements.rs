//! The tables of `mh` services: where their memory is, and when they are built.
//!
//! A service takes the memory of its table when it is set to `mh` and gives it back when it is set
//! to something else or deleted. There are [`MH_SERVICES_MAX`] of them and one more to build in;
//! one too many is refused, and so is one for which there is no memory.
//!
//! What the tables should be follows from the reals, so nobody has to say that something changed:
//! when the epoch has moved, each table's members are compared with the service's, and a table
//! that is not of them is built anew, slice by slice. The old one serves until the new one is
//! whole; a real that it names and that is gone is nobody's to choose.

use super::Tables;
use crate::limits::{MH_SERVICES_MAX, SERVICE_REALS_MAX};
use crate::service::sched::FlowHash;
use crate::service::sched::maglev::{Builder, Member, Members, Table};
use crate::{Real, RealId, Refusal, Scheduler, Service, ServiceId, ServiceSpec};

/// Looks in one slice of housekeeping: 10 to 50 µs.
const SLICE_LOOKS: usize = 8_192;

#[derive(Default)]
pub struct Placements {
    tables: heapless::Vec<(ServiceId, Table), MH_SERVICES_MAX>,
    builder: Option<Builder>,
    /// For whom the builder builds.
    in_work: Option<ServiceId>,
    /// The epoch in which all tables were those of their members.
    right_at: Option<u64>,
}

impl Placements {
    /// Whose slot a flow of this service falls into, if there is a table of it.
    pub fn find(&self, service: ServiceId, key: FlowHash) -> Option<RealId> {
        self.table(service)?.find(key)
    }

    fn table(&self, service: ServiceId) -> Option<&Table> {
        self.tables.iter().find(|(id, _)| *id == service).map(|(_, table)| table)
    }

    /// Takes or gives back memory, as a service's scheduler says.
    pub(super) fn fit(&mut self, service: ServiceId, spec: &ServiceSpec) -> Result<(), Refusal> {
        if spec.scheduler != Scheduler::Mh {
            self.remove(service);
            return Ok(());
        }
        if self.table(service).is_some() {
            return Ok(());
        }
        let full = Refusal::Full { table: "services by mh", max: MH_SERVICES_MAX };
        if self.tables.is_full() {
            return Err(full);
        }
        let no_memory = || Refusal::NoMemory { table: "slots of mh" };
        let table = Table::try_new().ok_or_else(no_memory)?;
        if self.builder.is_none() {
            self.builder = Some(Builder::try_new().ok_or_else(no_memory)?);
        }
        self.tables.push((service, table)).map_err(|_| full)
    }

    pub(super) fn remove(&mut self, service: ServiceId) {
        self.tables.retain(|(id, _)| *id != service);
        if self.in_work == Some(service) {
            self.in_work = None;
        }
        if self.tables.is_empty() {
            self.builder = None;
        }
    }
}

impl Tables {
    pub fn placements(&self) -> &Placements {
        &self.placements
    }

    /// Whether nothing is left to be built.
    pub(crate) fn placements_are_built(&self) -> bool {
        let Placements { builder, right_at, .. } = &self.placements;
        builder.is_none() || *right_at == Some(self.epoch)
    }

    /// A bounded slice of building tables; whether all are what they should be.
    pub fn build_placements(&mut self) -> bool {
        let Tables { placements, services, reals, epoch, .. } = self;
        let Some(builder) = placements.builder.as_mut() else {
            return true;
        };
        if placements.right_at == Some(*epoch) {
            return true;
        }
        let members_of = |id: ServiceId| {
            services[id.index()].as_ref().map_or(Members::new(), |service| members(service, reals))
        };
        if let Some(service) = placements.in_work
            && members_of(service)[..] != *builder.members()
        {
            placements.in_work = None;
        }
        let is_wrong = |(id, table): &&(ServiceId, Table)| members_of(*id)[..] != *table.members();
        let service = placements.in_work.or_else(|| {
            let service = placements.tables.iter().find(is_wrong)?.0;
            builder.begin(&members_of(service));
            Some(service)
        });
        placements.in_work = service;
        let Some(service) = service else {
            placements.right_at = Some(*epoch);
            return true;
        };
        if builder.step(SLICE_LOOKS) {
            placements.in_work = None;
            let mut tables = placements.tables.iter_mut();
            if let Some((_, table)) = tables.find(|(id, _)| *id == service) {
                builder.swap(table);
            }
        }
        false
    }
}

/// The reals of a service that have weight, in the order of their names.
fn members(service: &Service, reals: &[Option<Real>]) -> Members {
    let mut all: heapless::Vec<(RealId, &Real), SERVICE_REALS_MAX> = service
        .reals
        .iter()
        .filter_map(|&id| Some((id, reals[id.index()].as_ref()?)))
        .filter(|(_, real)| real.spec.weight > 0)
        .collect();
    all.sort_unstable_by_key(|(_, real)| &real.spec.guest);
    let member = |(id, real): (RealId, &Real)| Member {
        real: id,
        name: real.name,
        weight: real.spec.weight,
    };
    all.into_iter().map(member).collect()
}
