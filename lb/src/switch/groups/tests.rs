//! Groups by themselves: described cases of who asks and who gives way, and random joins, leaves,
//! queries and waits beside a model that keeps lists and looks through all of them.

use proptest::prelude::*;
use std::collections::BTreeMap;
use std::vec::Vec;

use super::*;
use crate::limits::GROUPS_MAX;
use crate::wire::group::{LAST_RESPONSE, RESPONSE};

const LAST_S: u64 = 100_000;
const FIRST: Address = Address::v4(0xef01_0000);

fn port(at: usize) -> PortId {
    PortId::new(at).unwrap()
}

fn at_s(seconds: u64) -> Instant {
    Instant::from_millis(seconds * 1000)
}

fn set(ports: &[usize]) -> PortSet {
    ports.iter().map(|&at| port(at)).collect()
}

fn general() -> Query {
    Query::of_ours(Version::V4, None, RESPONSE, INTERVAL)
}

/// A router at 10.0.0.1 asks, on an uplink.
fn routed(groups: &mut Groups, now: Instant) {
    groups.hear_query((0, Address::v4(0x0a00_0001)), None, &general(), PortSet::EMPTY, now);
}

fn key(group: u32) -> Key {
    Key { vlan: 0, group: Address::v4(FIRST.v4_bits() + group) }
}

fn join(groups: &mut Groups, group: u32, at: usize, now: Instant) {
    let said = (Dialect::Igmp3, Change::In(key(group).group));
    assert_eq!(groups.hear_change(0, port(at), said, false, now), None);
}

fn leave(groups: &mut Groups, group: u32, at: usize, now: Instant) -> Option<Question> {
    let said = (Dialect::Igmp2, Change::Out(key(group).group));
    groups.hear_change(0, port(at), said, false, now)
}

fn asks(querier: bool) -> Groups {
    let mut groups = Groups::new(1);
    let querier = querier.then_some(Querier { interval: INTERVAL, vlans: Vlans::All });
    groups.set_rules(&GroupRules { querier, ..GroupRules::default() });
    groups
}

/// What is asked in each second up to `until_s`.
fn questions(groups: &mut Groups, from_s: u64, until_s: u64) -> Vec<(u64, Question)> {
    let mut asked = Vec::new();
    for second in from_s..until_s {
        loop {
            groups.look_round(at_s(second), &mut |question| asked.push((second, question)));
            if groups.next_due() != Some(Instant::START) {
                break;
            }
        }
    }
    asked
}

#[test]
fn nothing_is_known_where_nobody_asks() {
    let mut groups = asks(false);
    join(&mut groups, 1, 2, at_s(1));
    assert_eq!(groups.members(key(1), at_s(1)), None);
    routed(&mut groups, at_s(2));
    assert_eq!(groups.members(key(1), at_s(12)), None, "there is still time to answer");
    assert_eq!(groups.members(key(1), at_s(13)), Some(set(&[2])));
    assert_eq!(groups.members(key(9), at_s(13)), Some(PortSet::EMPTY));
    let other = Key { vlan: 7, ..key(1) };
    assert_eq!(groups.members(other, at_s(13)), None, "another VLAN");
    let v6 = Key { vlan: 0, group: Address::from_words([0xff05 << 48, 1]) };
    assert_eq!(groups.members(v6, at_s(13)), None, "nobody asks by MLD");
    assert_eq!(groups.members(key(1), at_s(2 + 255)), None, "he who asked has gone");
    groups.set_rules(&GroupRules { flood_unknown: true, ..GroupRules::default() });
    assert_eq!(groups.members(key(9), at_s(13)), None, "as is said");
    assert_eq!(groups.members(key(1), at_s(13)), Some(set(&[2])));
}

#[test]
fn who_says_nothing_again_is_forgotten() {
    let mut groups = asks(false);
    join(&mut groups, 1, 2, at_s(0));
    join(&mut groups, 1, 3, at_s(100));
    for (second, left) in [(0, &[2, 3][..]), (259, &[2, 3]), (260, &[3]), (359, &[3]), (360, &[])] {
        questions(&mut groups, second, second + 1);
        let ports = groups.iter().map(|(_, port, _)| port.index()).collect::<Vec<_>>();
        assert_eq!(ports, left, "{second} s");
    }
    assert_eq!((groups.counters().joined, groups.counters().aged), (2, 2));
    assert!(groups.is_empty() && groups.next_due().is_none());
}

#[test]
fn the_switch_asks_where_nobody_does() {
    let mut groups = asks(true);
    let general = |asked: Vec<(u64, Question)>, version| -> Vec<u64> {
        assert!(asked.iter().all(|(_, question)| (question.vlan, question.ports) == (0, None)));
        let those = asked.into_iter().filter(|(_, question)| question.version == version);
        those.map(|(second, _)| second).collect()
    };
    let asked = questions(&mut groups, 1, 300);
    assert_eq!(general(asked.clone(), Version::V4), [1, 33, 158, 283]);
    assert_eq!(general(asked, Version::V6), [1, 33, 158, 283]);
    assert_eq!(groups.asker(0, Version::V4).other, None);
    // A router with an address of IPv4 wins; by MLD only one with a lower address does.
    routed(&mut groups, at_s(300));
    let mut hear = |source: u128, second| {
        let source = Address::v6((0xfe80 << 112 | source).to_be_bytes());
        let query = Query::of_ours(Version::V6, None, RESPONSE, INTERVAL);
        groups.hear_query((0, source), None, &query, PortSet::EMPTY, at_s(second));
        groups.asker(0, Version::V6).other
    };
    assert_eq!(hear(0x6c_0063, 300), None);
    assert!(hear(1, 300).is_some());
    assert_eq!(general(questions(&mut groups, 301, 555), Version::V4), []);
    let back = questions(&mut groups, 555, 600);
    assert_eq!(general(back.clone(), Version::V4), [555, 587], "he has gone; it begins anew");
    assert_eq!(general(back, Version::V6), [555, 587]);
}

/// Asking in nobody's name wins against nobody.
#[test]
fn a_bridge_without_an_address_does_not_win() {
    let mut groups = asks(true);
    questions(&mut groups, 1, 40);
    let from_bridge = (0, NOBODY_V4);
    groups.hear_query(from_bridge, Some(port(3)), &general(), PortSet::EMPTY, at_s(40));
    assert_eq!(groups.asker(0, Version::V4).other, None);
    assert_eq!(groups.asker(0, Version::V4).routers, PortSet::EMPTY);
    let mut silent = asks(false);
    silent.hear_query(from_bridge, Some(port(3)), &general(), PortSet::EMPTY, at_s(40));
    assert!(silent.asker(0, Version::V4).is_there(at_s(40)), "it asks, and hosts answer");
    assert_eq!(silent.members(key(1), at_s(60)), Some(PortSet::EMPTY));
}

#[test]
fn one_that_leaves_may_leave_another_behind() {
    let mut groups = asks(true);
    questions(&mut groups, 1, 100);
    for at in [2, 3] {
        join(&mut groups, 1, at, at_s(100));
    }
    let question = leave(&mut groups, 1, 2, at_s(100)).expect("somebody may be left");
    assert_eq!((question.query.group, question.ports), (Some(key(1).group), Some(set(&[2]))));
    assert_eq!(leave(&mut groups, 1, 2, at_s(100)), None, "it is being asked");
    let again = questions(&mut groups, 101, 102);
    assert_eq!(again, [(101, question)], "one question may be lost");
    // Somebody is left behind port 2 once, and then nobody.
    join(&mut groups, 1, 2, at_s(102));
    assert_eq!(questions(&mut groups, 102, 110), []);
    assert_eq!(groups.members(key(1), at_s(110)), Some(set(&[2, 3])));
    assert!(leave(&mut groups, 1, 2, at_s(110)).is_some());
    questions(&mut groups, 111, 113);
    assert_eq!(groups.members(key(1), at_s(112)), Some(set(&[2, 3])));
    questions(&mut groups, 113, 114);
    assert_eq!(groups.members(key(1), at_s(113)), Some(set(&[3])));
    // Where nobody can be left, it is out at once; of a group that it is not in nothing comes.
    let said = (Dialect::Igmp3, Change::Out(key(1).group));
    assert_eq!(groups.hear_change(0, port(3), said, true, at_s(114)), None);
    assert_eq!(groups.members(key(1), at_s(114)), Some(PortSet::EMPTY));
    assert_eq!(leave(&mut groups, 1, 5, at_s(114)), None);
}

/// RFC 2236 §5: a host of the first version cannot say that it leaves, nor does it ask who else is in.
#[test]
fn the_oldest_hosts_are_not_left_out() {
    let mut groups = asks(true);
    questions(&mut groups, 1, 100);
    let said = (Dialect::Igmp1, Change::In(key(1).group));
    groups.hear_change(0, port(2), said, true, at_s(100));
    let said = (Dialect::Igmp2, Change::Out(key(1).group));
    assert_eq!(groups.hear_change(0, port(2), said, true, at_s(100)), None);
    assert_eq!(groups.members(key(1), at_s(101)), Some(set(&[2])));
}

/// P47: it gets everything and nobody else loses anything.
#[test]
fn a_port_that_joins_a_hundred_thousand_groups() {
    let mut groups = asks(false);
    routed(&mut groups, at_s(0));
    join(&mut groups, 500_000, 2, at_s(10));
    for group in 0..100_000 {
        join(&mut groups, group, 1, at_s(20));
    }
    let share = GROUPS_MAX / 8;
    assert_eq!((groups.len(), groups.counters().refused), (share + 1, 100_000 - share as u64));
    assert_eq!(groups.members(key(99_999), at_s(21)), Some(set(&[1])), "not one is lost to it");
    assert_eq!(groups.members(key(700_000), at_s(21)), Some(set(&[1])));
    assert_eq!(groups.members(key(500_000), at_s(21)), Some(set(&[1, 2])));
    for group in 0..share as u32 {
        (2..9).for_each(|at| join(&mut groups, 1_000_000 + group * 10 + at as u32, at, at_s(22)));
    }
    assert_eq!(groups.brimming(), set(&[1, 2]), "others have their share; 2 had one already");
    routed(&mut groups, at_s(120));
    routed(&mut groups, at_s(240));
    questions(&mut groups, 282, 283);
    assert_eq!((groups.len(), groups.brimming()), (0, set(&[])), "once what was too much has aged");
}

/// With more ports each has less, and who has more than that is not renewed.
#[test]
fn shares_fit_the_table() {
    let mut groups = asks(false);
    (0..64).for_each(|group| join(&mut groups, group, 1, at_s(0)));
    groups.set_ports(64, VlanSet::EMPTY);
    for at in 2..64 {
        (0..17).for_each(|group| join(&mut groups, 1000 * at as u32 + group, at, at_s(100)));
    }
    assert_eq!(groups.brimming(), (2..64).map(port).collect(), "one too many each");
    assert_eq!(groups.len(), (64 + 62 * 16).min(GROUPS_MAX));
    (0..64).for_each(|group| join(&mut groups, group, 1, at_s(100)));
    questions(&mut groups, 260, 261);
    assert_eq!(groups.len(), GROUPS_MAX - 64, "what was too much has aged");
    (0..16).for_each(|group| join(&mut groups, group, 1, at_s(261)));
    for at in 2..64 {
        (0..16).for_each(|group| join(&mut groups, 1000 * at as u32 + group, at, at_s(261)));
    }
    assert_eq!(groups.len(), 63 * 16, "and all have a place");
}

#[test]
fn what_is_said_later_of_where_it_is_listened() {
    let mut groups = asks(false);
    routed(&mut groups, at_s(0));
    join(&mut groups, 1, 2, at_s(0));
    let in_ten = Vlans::These(Box::new("10".parse().unwrap()));
    groups.set_rules(&GroupRules { unheard: Some(in_ten), ..GroupRules::default() });
    assert!(groups.listens(0) && !groups.listens(10));
    assert_eq!(groups.members(key(1), at_s(20)), Some(set(&[2])), "it stays");
    groups.set_rules(&GroupRules { unheard: Some(Vlans::All), ..GroupRules::default() });
    assert!(!groups.listens(0) && groups.is_empty());
    groups.set_rules(&GroupRules::default());
    assert_eq!(groups.members(key(1), at_s(20)), None, "what was known is known no longer");
}

/// A liar who says that he asks each second, and who says that he asks every nine hours.
#[test]
fn how_often_it_is_asked_is_told_by_who_asks() {
    for (interval_s, stays_s) in [(1, 260), (125, 260), (31_744, 2 * 31_744 + 10)] {
        let mut groups = asks(false);
        let query = Query { interval: Duration::from_secs(interval_s), ..general() };
        let source = (0, Address::v4(0x0a00_0001));
        groups.hear_query(source, None, &query, PortSet::EMPTY, at_s(0));
        join(&mut groups, 1, 2, at_s(5));
        questions(&mut groups, stays_s + 4, stays_s + 5);
        assert_eq!(groups.iter().count(), 1, "{interval_s}");
        questions(&mut groups, stays_s + 5, stays_s + 6);
        assert_eq!(groups.iter().count(), 0, "{interval_s}");
    }
}

/// Whoever comes to a port while another asks has not been asked.
#[test]
fn a_port_that_comes_gets_all_until_it_was_asked() {
    let mut groups = asks(false);
    groups.meet(port(4), at_s(0));
    assert_eq!(groups.brimming(), PortSet::EMPTY, "nobody asks: everything goes everywhere");
    routed(&mut groups, at_s(0));
    groups.meet(port(4), at_s(30));
    assert_eq!(groups.members(key(1), at_s(31)), Some(set(&[4])));
    questions(&mut groups, 290, 291);
    assert_eq!(groups.brimming(), PortSet::EMPTY);
}

// Beside a model.

#[derive(Clone, Debug)]
enum Step {
    Join { vlan: u16, group: u32, port: usize },
    Leave { vlan: u16, group: u32, port: usize, at_once: bool },
    AskAll { vlan: u16, port: Option<usize>, named: bool },
    AskOne { vlan: u16, group: u32, reached: u64 },
    Forget { port: usize },
    Pass { seconds: u64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (vlan, group, at) = (0..3u16, 0..6u32, 0..5usize);
    let step = prop_oneof![
        6 => (vlan.clone(), group.clone(), at.clone())
            .prop_map(|(vlan, group, port)| Step::Join { vlan, group, port }),
        3 => (vlan.clone(), group.clone(), at.clone(), any::<bool>())
            .prop_map(|(vlan, group, port, at_once)| Step::Leave { vlan, group, port, at_once }),
        2 => (vlan.clone(), proptest::option::of(at.clone()), any::<bool>())
            .prop_map(|(vlan, port, named)| Step::AskAll { vlan, port, named }),
        2 => (vlan, group, 0..32u64)
            .prop_map(|(vlan, group, reached)| Step::AskOne { vlan, group, reached }),
        1 => at.prop_map(|port| Step::Forget { port }),
        4 => (0..200u64).prop_map(|seconds| Step::Pass { seconds }),
    ];
    proptest::collection::vec(step, 1..120)
}

/// What is known, in lists.
#[derive(Default)]
struct Model {
    /// Until when.
    members: BTreeMap<(u16, u32, usize), u64>,
    routers: BTreeMap<(u16, usize), u64>,
    /// Since when all have answered, and until when somebody asks.
    askers: BTreeMap<u16, (u64, u64)>,
}

impl Model {
    fn step(&mut self, step: &Step, now: u64) {
        match *step {
            Step::Join { vlan, group, port } => {
                self.members.insert((vlan, group, port), now + 260);
            }
            Step::Leave { vlan, group, port, at_once } => {
                if at_once || self.asker(vlan, now).is_none() {
                    self.members.remove(&(vlan, group, port));
                }
            }
            Step::AskAll { vlan, port, named } => {
                let settled = self.asker(vlan, now).map_or(now + 11, |(settled, _)| settled);
                self.askers.insert(vlan, (settled, now + 255));
                if let Some(port) = port.filter(|_| named) {
                    self.routers.insert((vlan, port), now + 255);
                }
            }
            Step::AskOne { vlan, group, reached } => {
                for (of, until) in &mut self.members {
                    if (of.0, of.1) == (vlan, group) && reached >> of.2 & 1 == 1 {
                        *until = (now + 3).min(*until);
                    }
                }
            }
            Step::Forget { port } => {
                self.members.retain(|of, _| of.2 != port);
                self.routers.retain(|of, _| of.1 != port);
            }
            Step::Pass { .. } => {}
        }
    }

    fn pass(&mut self, now: u64) {
        self.members.retain(|_, until| *until > now);
        self.routers.retain(|_, until| *until > now);
    }

    fn asker(&self, vlan: u16, now: u64) -> Option<(u64, u64)> {
        self.askers.get(&vlan).copied().filter(|(_, until)| *until > now)
    }

    fn members(&self, vlan: u16, group: u32, now: u64) -> Option<PortSet> {
        self.asker(vlan, now).filter(|(settled, _)| *settled <= now)?;
        let members = self.members.keys().filter(|of| (of.0, of.1) == (vlan, group));
        let routers = self.routers.keys().filter(|of| of.0 == vlan).map(|of| of.1);
        Some(members.map(|of| of.2).chain(routers).map(port).collect())
    }
}

fn do_step(groups: &mut Groups, step: &Step, now: Instant) {
    let of = |group: u32| key(group).group;
    let question = match *step {
        Step::Join { vlan, group, port: at } => {
            let said = (Dialect::Igmp3, Change::In(of(group)));
            groups.hear_change(vlan, port(at), said, false, now)
        }
        Step::Leave { vlan, group, port: at, at_once } => {
            let said = (Dialect::Igmp2, Change::Out(of(group)));
            groups.hear_change(vlan, port(at), said, at_once, now)
        }
        Step::AskAll { vlan, port: at, named } => {
            let source = Address::v4(if named { 0x0a00_0001 } else { 0 });
            groups.hear_query((vlan, source), at.map(port), &general(), PortSet::EMPTY, now);
            None
        }
        Step::AskOne { vlan, group, reached } => {
            let query = Query::of_ours(Version::V4, Some(of(group)), LAST_RESPONSE, INTERVAL);
            let reached = (0..5).filter(|at| reached >> at & 1 == 1).map(port).collect();
            groups.hear_query((vlan, NOBODY_V4), None, &query, reached, now);
            None
        }
        Step::Forget { port: at } => {
            groups.forget(|_, its| its == port(at));
            None
        }
        Step::Pass { .. } => None,
    };
    assert_eq!(question, None, "it is another's to ask");
}

proptest! {
    #[test]
    fn as_the_model_has_it(steps in steps()) {
        let (mut groups, mut model) = (asks(false), Model::default());
        let mut now = 1;
        for step in &steps {
            do_step(&mut groups, step, at_s(now));
            model.step(step, now);
            if let Step::Pass { seconds } = step {
                now = (now + seconds).min(LAST_S);
                prop_assert_eq!(questions(&mut groups, now, now + 1), Vec::new());
                model.pass(now);
            }
            for vlan in 0..3 {
                for group in 0..6 {
                    let found = groups.members(Key { vlan, ..key(group) }, at_s(now));
                    prop_assert_eq!(found, model.members(vlan, group, now), "{} {}", vlan, group);
                }
            }
            prop_assert_eq!(groups.iter().count(), model.members.len());
            prop_assert_eq!(groups.brimming(), PortSet::EMPTY);
        }
    }
}
