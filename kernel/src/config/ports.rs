//! Which NIC is which port.
//!
//! A NIC that the configuration picks with `match` has the name and role given there. The others
//! are named by their number: the first is the uplink `up0`, unless the configuration picks an
//! uplink itself, the rest are guests' ports `p1`, `p2` …. A number whose name was given to
//! another NIC takes the lowest that is free. So the names depend on the NICs and the
//! configuration alone, and on no order of events.
//!
//! What is picked and not there, but may be plugged in, has a port of its own behind those of the NICs.
//! It keeps it when it comes, and any NIC keeps its port when it goes: [`seat`] says where one that
//! comes belongs.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

use lb::limits::PORTS_MAX;
use lb::{Name, Role};

use super::{Finding, Item, NicId, PortConfig, PortPlan, Site, Wrong};

/// A port for each NIC, in the order of the NICs, and for each that is awaited.
pub fn name_ports(
    stated: &BTreeMap<Name, PortConfig>,
    site: &Site,
    findings: &mut Vec<Finding>,
) -> Vec<PortPlan> {
    let nics: Vec<NicId> = site.nics.iter().copied().chain(awaited(stated, site)).collect();
    let mut plans = vec![None; nics.len()];
    for (name, port) in stated {
        if let Some(finding) = pick(name, port, &nics, &mut plans) {
            findings.push(finding);
        }
    }
    let mut plans = name_the_rest(plans);
    for (name, port) in stated.iter().filter(|(_, port)| port.nic.is_none()) {
        match plans.iter_mut().find(|plan| plan.name == *name) {
            Some(plan) => plan.role = port.role.unwrap_or(plan.role),
            None => {
                let known = plans.iter().map(|plan| plan.name.clone()).collect();
                let wrong = Wrong::NoDefaultPort { known };
                findings.push(Finding::new(Item::Port(name.clone()), wrong));
            }
        }
    }
    plans
}

/// Gives a port the NIC that its `match` picks, of those that are there and those that are awaited.
fn pick(
    name: &Name,
    port: &PortConfig,
    nics: &[NicId],
    plans: &mut [Option<PortPlan>],
) -> Option<Finding> {
    let wanted = port.nic?;
    let item = Item::PortMatch(name.clone());
    let Some(at) = nics.iter().position(|nic| wanted.is(nic)) else {
        let wrong = Wrong::NoSuchNic { nic: wanted, nics: nics.to_vec() };
        return Some(Finding::new(item, wrong));
    };
    if let Some(owner) = &plans[at] {
        let port = owner.name.clone();
        let with = Item::PortMatch(port.clone());
        return Some(Finding::against(item, Wrong::NicTaken { port }, with));
    }
    plans[at] = Some(PortPlan { name: name.clone(), role: port.role.unwrap_or(Role::Guest) });
    None
}

/// The NICs that a configuration picks, that are not there and that may come, in the order of their
/// ports, as far as there are ports.
pub fn awaited(stated: &BTreeMap<Name, PortConfig>, site: &Site) -> Vec<NicId> {
    let mut awaited: Vec<NicId> = Vec::new();
    for wanted in stated.values().filter_map(|port| port.nic).filter(|nic| site.may_come(nic)) {
        let mut known = site.nics.iter().chain(&awaited);
        let is_new = !known.any(|nic| wanted.is(nic));
        if is_new && site.nics.len() + awaited.len() < PORTS_MAX {
            awaited.push(wanted.awaited());
        }
    }
    awaited
}

/// The port of a NIC that comes: the one that the configuration picks it for, the one that it had, the
/// one that was last in its place unless another NIC is picked for that, or a new one. `None` if there
/// are no more ports. `is_vacant` says of a port whether no NIC is there.
pub fn seat(
    nic: &NicId,
    stated: &BTreeMap<Name, PortConfig>,
    nics: &[NicId],
    is_vacant: impl Fn(usize) -> bool,
) -> Option<usize> {
    let picks = || stated.values().filter_map(|port| port.nic);
    let vacant = |wanted: &dyn Fn(&NicId) -> bool| {
        nics.iter().enumerate().position(|(at, known)| wanted(known) && is_vacant(at))
    };
    let is_picked = |known: &NicId| picks().any(|wanted| wanted.is(known));
    let picked = picks().filter(|wanted| wanted.is(nic));
    let by_choice = picked.filter_map(|wanted| vacant(&|known| wanted.is(known))).next();
    by_choice
        .or_else(|| vacant(&|known| known.mac == nic.mac && !is_picked(known)))
        .or_else(|| vacant(&|known| known.pci == nic.pci && !is_picked(known)))
        .or_else(|| (nics.len() < PORTS_MAX).then_some(nics.len()))
        .or_else(|| vacant(&|known| !is_picked(known)))
}

fn name_the_rest(picked: Vec<Option<PortPlan>>) -> Vec<PortPlan> {
    let uplink_picked = picked.iter().flatten().any(|plan| plan.role == Role::Uplink);
    let mut plans = picked;
    let mut late = Vec::new();
    for at in 0..plans.len() {
        if plans[at].is_some() {
            continue;
        }
        let plan = if at == 0 && !uplink_picked {
            PortPlan { name: numbered("up", at), role: Role::Uplink }
        } else {
            PortPlan { name: numbered("p", at), role: Role::Guest }
        };
        if is_free(&plans, &plan.name) {
            plans[at] = Some(plan);
        } else {
            late.push((at, plan.role));
        }
    }
    for (at, role) in late {
        let lowest = (1..).map(|number| numbered("p", number));
        let name = lowest.into_iter().find(|name| is_free(&plans, name));
        plans[at] = name.map(|name| PortPlan { name, role });
    }
    plans.into_iter().flatten().collect()
}

fn is_free(plans: &[Option<PortPlan>], name: &Name) -> bool {
    plans.iter().flatten().all(|plan| plan.name != *name)
}

fn numbered(prefix: &str, number: usize) -> Name {
    format!("{prefix}{number}").parse().expect("a letter and a number are a name")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::NicMatch;
    use drivers::pci::Address;
    use lb::MacAddr;

    fn pci(device: u8) -> Option<Address> {
        Some(Address { bus: 0, device, function: 0 })
    }

    fn mac(last: u8) -> Option<MacAddr> {
        Some(MacAddr([2, 0, 0, 0, 0, last]))
    }

    fn nic(at: u8, last: u8) -> NicId {
        NicId { pci: pci(at), mac: mac(last) }
    }

    fn stated(matches: &[NicMatch]) -> BTreeMap<Name, PortConfig> {
        let ports = matches.iter().enumerate().map(|(at, nic)| {
            let port = PortConfig { nic: Some(*nic), ..PortConfig::default() };
            (numbered("x", at), port)
        });
        ports.collect()
    }

    /// (what it shows, what is stated, which NIC comes, the port that it gets); NICs 2 to 4 are known,
    /// and the last two of them are gone.
    #[test]
    fn who_comes_gets_the_port_that_is_his() {
        let known = [nic(2, 2), nic(3, 3), nic(4, 4)];
        let by_mac = |last| NicMatch::Mac(mac(last).unwrap());
        let by_pci = |at| NicMatch::Pci(pci(at).unwrap());
        let cases: &[(&str, &[NicMatch], NicId, usize)] = &[
            ("it is back", &[], nic(4, 4), 2),
            ("it is back, elsewhere", &[], nic(3, 4), 2),
            ("another one in its place", &[], nic(4, 9), 2),
            ("another one elsewhere", &[], nic(9, 9), 3),
            ("where somebody is", &[], nic(2, 9), 3),
            ("the place is another's by choice", &[by_mac(4)], nic(4, 9), 3),
            ("the place is chosen", &[by_pci(4)], nic(4, 3), 2),
            ("the MAC is chosen", &[by_mac(3)], nic(4, 3), 1),
            ("the port of that place is not for it", &[by_pci(3)], nic(9, 3), 3),
            ("the same MAC twice", &[by_mac(2)], nic(9, 2), 3),
        ];
        for (what, matches, comer, port) in cases {
            let found = seat(comer, &stated(matches), &known, |at| at > 0);
            assert_eq!(found, Some(*port), "{what}");
        }
    }

    #[test]
    fn when_all_ports_are_taken_those_give_way_that_nobody_waits_for() {
        let known: Vec<NicId> = (0..PORTS_MAX as u8).map(|at| nic(at % 32, at)).collect();
        let wanted = stated(&[NicMatch::Mac(mac(5).unwrap())]);
        let comer = NicId { pci: None, mac: mac(99) };
        assert_eq!(seat(&comer, &wanted, &known, |_| false), None);
        assert_eq!(seat(&comer, &wanted, &known, |at| at == 5), None);
        assert_eq!(seat(&comer, &wanted, &known, |at| at == 5 || at == 7), Some(7));
    }

    /// Who may come is awaited, in the order of the names, behind those who are there, and once.
    #[test]
    fn what_is_picked_and_not_there_is_awaited_where_it_may_come() {
        let stated = stated(&[
            NicMatch::Pci(pci(9).unwrap()),
            NicMatch::Mac(mac(7).unwrap()),
            NicMatch::Mac(mac(2).unwrap()),
            NicMatch::Pci(pci(8).unwrap()),
            NicMatch::Mac(mac(7).unwrap()),
        ]);
        let nics = vec![nic(2, 2)];
        let site = Site { nics: nics.clone(), bays: pci(9).into_iter().collect(), flows_fit: 0 };
        let wanted = [NicId { pci: pci(9), mac: None }, NicId { pci: None, mac: mac(7) }];
        assert_eq!(awaited(&stated, &site), wanted);
        let mut findings = Vec::new();
        let plans = name_ports(&stated, &site, &mut findings);
        let names: Vec<&str> = plans.iter().map(|plan| plan.name.as_str()).collect();
        assert_eq!(names, ["x2", "x0", "x1"]);
        let wrong: Vec<u16> = findings.iter().map(Finding::code).collect();
        assert_eq!(wrong, [201, 203], "one cannot come, one is another's");
        let fixed = Site { nics, bays: Vec::new(), flows_fit: 0 };
        assert!(awaited(&stated, &fixed).is_empty(), "nobody comes to a machine without a bay");
    }
}
