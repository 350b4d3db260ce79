//! Steps about the switch itself: what ports let through, where static MACs are, how MACs age.

use alloc::vec;
use alloc::vec::Vec;

use lb::switch::fdb::AGEING;
use lb::{Command, PortId, PortRules};

use super::difference::Step;
use crate::config::{Plan, StaticMac};

/// Rules follow the ports and precede the guests: what a guest may have depends on its VLANs.
pub(super) fn rules(old: &Plan, new: &Plan) -> Vec<Step> {
    let ports = new.rules.iter().enumerate();
    let changed = ports.filter_map(|(at, rules)| {
        let before = old.rules.get(at).cloned().unwrap_or_default();
        let set = |port: PortId, rules: PortRules| Command::SetPortRules { port, rules };
        let port = PortId::new(at).filter(|_| before != *rules)?;
        Some(Step { go: set(port, rules.clone()), back: vec![set(port, before)] })
    });
    changed.collect()
}

pub(super) fn gone_macs(old: &Plan, new: &Plan) -> Vec<Step> {
    let gone = old.macs.iter().filter(|(key, _)| !new.macs.contains_key(key));
    gone.map(|(&key, &port)| Step { go: delete(key), back: vec![set(key, port)] }).collect()
}

pub(super) fn macs(old: &Plan, new: &Plan) -> Vec<Step> {
    let changed = new.macs.iter().filter(|(key, port)| old.macs.get(key) != Some(port));
    let step = |(&key, &port)| {
        let back = old.macs.get(&key).map_or(delete(key), |&before| set(key, before));
        Step { go: set(key, port), back: vec![back] }
    };
    changed.map(step).collect()
}

pub(super) fn ageing(old: &Plan, new: &Plan) -> Option<Step> {
    let set = |plan: &Plan| Command::SetAgeing(plan.mac_ageing.unwrap_or(AGEING));
    let changes = old.mac_ageing != new.mac_ageing;
    changes.then(|| Step { go: set(new), back: vec![set(old)] })
}

fn set(StaticMac { mac, vlan }: StaticMac, port: PortId) -> Command {
    Command::SetMac { mac, vlan, port }
}

fn delete(StaticMac { mac, vlan }: StaticMac) -> Command {
    Command::DeleteMac { mac, vlan }
}
