//! Steps about the switch itself: what ports let through, where static MACs are, how MACs age, how
//! multicast groups are listened for, and who looks on.

use alloc::vec;
use alloc::vec::Vec;

use lb::switch::fdb::AGEING;
use lb::{Command, MirrorSpec, PortId, PortRules};

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

/// One that leads elsewhere opens the port that it led to before others come there. One that stays
/// where it is keeps its counters, whatever it copies.
pub(super) fn gone_mirrors(old: &Plan, new: &Plan) -> Vec<Step> {
    let stays = |spec: &MirrorSpec| {
        let after = new.mirrors.get(&spec.name);
        after.is_some_and(|after| (after.from, after.to) == (spec.from, spec.to))
    };
    let gone = old.mirrors.values().filter(|spec| !stays(spec));
    let step = |spec: &MirrorSpec| Step {
        go: Command::DeleteMirror(spec.name.clone()),
        back: vec![Command::SetMirror(spec.clone())],
    };
    gone.map(step).collect()
}

pub(super) fn mirrors(old: &Plan, new: &Plan) -> Vec<Step> {
    let changed = new.mirrors.values().filter(|spec| old.mirrors.get(&spec.name) != Some(spec));
    let step = |spec: &MirrorSpec| {
        let before = old.mirrors.get(&spec.name).cloned();
        let before = before.filter(|before| (before.from, before.to) == (spec.from, spec.to));
        let back = before.map_or(Command::DeleteMirror(spec.name.clone()), Command::SetMirror);
        Step { go: Command::SetMirror(spec.clone()), back: vec![back] }
    };
    changed.map(step).collect()
}

pub(super) fn groups(old: &Plan, new: &Plan) -> Option<Step> {
    let set = |plan: &Plan| Command::SetGroups(plan.groups.clone());
    let changes = old.groups != new.groups;
    changes.then(|| Step { go: set(new), back: vec![set(old)] })
}

fn set(StaticMac { mac, vlan }: StaticMac, port: PortId) -> Command {
    Command::SetMac { mac, vlan, port }
}

fn delete(StaticMac { mac, vlan }: StaticMac) -> Command {
    Command::DeleteMac { mac, vlan }
}
