//! Access lists, port by port, compiled anew when they or a service that they name change.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::Tables;
use crate::limits::{ACCESS_RULES_MAX, PORTS_MAX};
use crate::switch::access::{AccessList, Asked};
use crate::wire::Endpoint;
use crate::{AccessRule, PortId, PortRules, PortSet, Refusal, Role};

pub(crate) struct Lists {
    /// Ports that have one.
    ports: PortSet,
    lists: [Option<Box<AccessList>>; PORTS_MAX],
}

/// What a list says of a packet, and by which rule.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Access {
    pub permits: bool,
    place: Option<usize>,
}

impl Lists {
    pub fn new() -> Lists {
        Lists { ports: PortSet::EMPTY, lists: [const { None }; PORTS_MAX] }
    }

    /// Whether what comes in by a port is held against a list.
    #[inline(always)]
    pub fn concern(&self, ingress: PortId) -> bool {
        self.ports.contains(ingress)
    }

    pub fn ports(&self) -> PortSet {
        self.ports
    }

    /// What the list of a port says of a packet; `None` where there is none.
    #[inline]
    pub fn judge(&self, ingress: PortId, asked: &Asked) -> Option<Access> {
        let list = self.lists[ingress.index()].as_deref()?;
        let place = list.decides(asked);
        Some(Access { permits: list.permits(place), place })
    }

    /// The same about a frame that is no packet.
    pub fn judge_other(&self, ingress: PortId) -> Option<Access> {
        let list = self.lists[ingress.index()].as_deref()?;
        let place = list.decides_other();
        Some(Access { permits: list.permits(place), place })
    }

    /// Counts what a list said, if there is one.
    #[inline]
    pub fn count(&mut self, ingress: PortId, access: Option<Access>) {
        if let Some((list, access)) = self.lists[ingress.index()].as_deref_mut().zip(access) {
            list.count(access.place);
        }
    }
}

impl Tables {
    pub fn access_list(&self, port: PortId) -> Option<&AccessList> {
        self.lists.lists[port.index()].as_deref()
    }

    pub(crate) fn lists(&self) -> &Lists {
        &self.lists
    }

    pub(crate) fn lists_mut(&mut self) -> &mut Lists {
        &mut self.lists
    }

    /// Whether a port may have a list of these rules.
    pub(super) fn check_access(
        &self,
        id: PortId,
        role: Role,
        rules: &PortRules,
    ) -> Result<(), Refusal> {
        let name = self.port(id).map(|port| port.name.clone());
        match (rules.access.len(), name) {
            (0, _) | (_, None) => Ok(()),
            (_, Some(name)) if role != Role::Guest => Err(Refusal::AccessOfUplink(name)),
            (len, _) if len > ACCESS_RULES_MAX => {
                Err(Refusal::Full { table: "access rules of one port", max: ACCESS_RULES_MAX })
            }
            _ => Ok(()),
        }
    }

    pub(super) fn set_access(&mut self, id: PortId, rules: &[AccessRule]) {
        let slot = &mut self.lists.lists[id.index()];
        let before = slot.as_deref().into_iter().flat_map(AccessList::rules);
        if before.map(|(rule, _)| rule).eq(rules) {
            return;
        }
        let rules: Vec<AccessRule> = rules.to_vec();
        let before = slot.take();
        let list = (!rules.is_empty()).then(|| AccessList::new(rules, before.as_deref()));
        *slot = list.map(Box::new);
        self.lists.ports = match slot {
            Some(_) => self.lists.ports.with(id),
            None => self.lists.ports.without(id),
        };
        self.compile_list(id);
    }

    /// Compiles those that name services.
    pub(super) fn compile_lists(&mut self) {
        for id in self.lists.ports {
            if self.access_list(id).is_some_and(AccessList::names_services) {
                self.compile_list(id);
            }
        }
    }

    fn compile_list(&mut self, id: PortId) {
        let Some(mut list) = self.lists.lists[id.index()].take() else {
            return;
        };
        list.compile(|name| {
            let spec = &self.service(self.service_by_name(name)?)?.spec;
            let end = Endpoint { address: spec.vip.into(), port: spec.port.get() };
            Some((spec.vlan, end, spec.protocol))
        });
        self.lists.lists[id.index()] = Some(list);
    }
}
