//! Whatever is configured, said and sent: a frame leaves by no port by which it would not if nobody
//! listened, and what is foreseen comes.

use lb::*;
use proptest::prelude::*;

use crate::said::*;
use crate::world::*;

const PORTS: usize = 6;
const STANDBY: usize = 5;

#[derive(Clone, Debug)]
struct Setup {
    vlan: u8,
    isolated: bool,
    group: bool,
    fast_leave: bool,
    is_defined: bool,
}

#[derive(Clone, Debug)]
enum Step {
    /// By port, by group, by VLAN.
    Join(usize, usize, u16),
    Leave(usize, usize, u16),
    Ask(usize, bool, u16),
    AskOne(usize, usize, u16),
    Data(usize, usize, u16),
    /// A message with a byte changed.
    Spoiled(usize, usize, usize, u8),
    Link(usize, bool),
    Rules(usize, Setup),
    Pass(u64),
}

const GROUPS: [&str; 5] =
    ["239.1.2.3", "239.129.2.3", "ff05::1:3", "224.0.0.251", "ff02::1:ff00:1"];
const VLANS: [u16; 2] = [0, 10];

fn setup() -> impl Strategy<Value = Setup> {
    (0..4u8, any::<[bool; 4]>()).prop_map(|(vlan, [isolated, group, fast_leave, is_defined])| {
        Setup { vlan, isolated: isolated && !group, group, fast_leave, is_defined }
    })
}

fn step() -> impl Strategy<Value = Step> {
    let (at, group) = (0..PORTS, 0..GROUPS.len());
    let vlan = prop::sample::select(&VLANS[..]);
    let three = (at.clone(), group.clone(), vlan.clone());
    prop_oneof![
        6 => three.clone().prop_map(|(at, group, vlan)| Step::Join(at, group, vlan)),
        2 => three.clone().prop_map(|(at, group, vlan)| Step::Leave(at, group, vlan)),
        3 => (at.clone(), any::<bool>(), vlan).prop_map(|(at, v6, vlan)| Step::Ask(at, v6, vlan)),
        1 => three.clone().prop_map(|(at, group, vlan)| Step::AskOne(at, group, vlan)),
        6 => three.prop_map(|(at, group, vlan)| Step::Data(at, group, vlan)),
        2 => (at.clone(), group, 12..90usize, any::<u8>())
            .prop_map(|(at, group, byte, to)| Step::Spoiled(at, group, byte, to)),
        1 => (at.clone(), any::<bool>()).prop_map(|(at, up)| Step::Link(at, up)),
        1 => (at, setup()).prop_map(|(at, setup)| Step::Rules(at, setup)),
        3 => (1..150u64).prop_map(Step::Pass),
    ]
}

fn rules(at: usize, setup: &Setup) -> PortRules {
    let is_guest = at != UPLINK && at != STANDBY;
    PortRules {
        vlan: match setup.vlan {
            0 => access(10),
            1 => trunk("10", None),
            _ => PortVlan::Transparent,
        },
        isolated: setup.isolated && is_guest,
        group: (setup.group && is_guest).then(|| name("a")),
        fast_leave: setup.fast_leave,
        standby: at == STANDBY,
        ..PortRules::default()
    }
}

fn world(setups: &[Setup], groups: GroupRules) -> World {
    let mut world = World::new(PORTS - 1);
    world.apply(Command::SetPort { port: port(STANDBY), name: name("up1"), role: Role::Uplink });
    for (at, setup) in setups.iter().enumerate() {
        world.set_rules(at, rules(at, setup));
        if setup.is_defined && at != UPLINK && at != STANDBY {
            let spec = GuestSpec { addresses: Default::default(), ..world.guest_spec(at) };
            world.apply(Command::SetGuest(spec));
        }
    }
    world.apply(Command::SetGroups(groups));
    world
}

/// The frame that a step sends, if it sends one, as it is inside the switch.
fn frame(step: &Step) -> Option<(usize, Vec<u8>)> {
    let of = |vlan: u16, frame: Vec<u8>| if vlan == 0 { frame } else { tagged(vlan, &frame) };
    let ask = |at: usize, group: &str| match group.contains(':') {
        true => mld_query(at, group),
        false => igmp_query(at, group),
    };
    Some(match *step {
        Step::Join(at, group, vlan) => (at, of(vlan, joined(at, GROUPS[group]))),
        Step::Leave(at, group, vlan) => (at, of(vlan, left(at, GROUPS[group]))),
        Step::Ask(at, v6, vlan) => (at, of(vlan, ask(at, if v6 { "::" } else { "0.0.0.0" }))),
        Step::AskOne(at, group, vlan) => (at, of(vlan, ask(at, GROUPS[group]))),
        Step::Data(at, group, vlan) => (at, of(vlan, to_group(at, GROUPS[group]))),
        Step::Spoiled(at, group, byte, to) => {
            let mut frame = joined(at, GROUPS[group]);
            let byte = byte % frame.len();
            frame[byte] = to;
            (at, frame)
        }
        Step::Link(..) | Step::Rules(..) | Step::Pass(_) => return None,
    })
}

fn egress(verdict: Verdict) -> PortSet {
    match verdict {
        Verdict::Forward(port) => PortSet::EMPTY.with(port),
        Verdict::Flood(ports) => ports,
        Verdict::Reply | Verdict::Punt | Verdict::Hold | Verdict::Drop(_) => PortSet::EMPTY,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn a_group_opens_no_way(
        setups in prop::collection::vec(setup(), PORTS),
        asks in any::<bool>(),
        floods in any::<bool>(),
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let querier = Querier { interval: Querier::INTERVAL, vlans: Vlans::All };
        let querier = asks.then_some(querier);
        let rules_of = GroupRules { unheard: None, querier, flood_unknown: floods };
        let unheard = GroupRules { unheard: Some(Vlans::All), ..GroupRules::default() };
        let (mut listening, mut plain) = (world(&setups, rules_of), world(&setups, unheard));
        for step in &steps {
            if let Some((at, bytes)) = frame(step) {
                let mut copy = bytes.clone();
                let traced = Frame::plain(&mut copy);
                let traced = listening.plane.trace(port(at), &traced, listening.now).verdict;
                let (got, all) = (listening.verdict(at, &bytes), plain.verdict(at, &bytes));
                prop_assert_eq!(traced, got, "{:?}", step);
                prop_assert!(egress(got).minus(egress(all)).is_empty(), "{:?}: {:?}", step, got);
            }
            for world in [&mut listening, &mut plain] {
                match step {
                    Step::Link(at, up) => {
                        world.apply(Command::SetLink { port: port(*at), up: *up });
                    }
                    Step::Rules(at, setup) => world.set_rules(*at, rules(*at, setup)),
                    Step::Pass(seconds) => {
                        for _ in 0..*seconds {
                            world.now = world.now + std::time::Duration::from_secs(1);
                            world.plane.housekeep(world.now);
                        }
                        let uplinks = world.plane.tables().port_sets().uplinks;
                        for out in world.originated() {
                            let asked: PortSet = out.ports.iter().map(|&at| port(at)).collect();
                            prop_assert!(asked.and(uplinks).is_empty(), "uplinks are not asked");
                        }
                    }
                    _ => {}
                }
            }
        }
    }
}
