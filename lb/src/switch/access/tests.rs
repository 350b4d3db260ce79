//! A compiled list against the rules read one by one.

use std::vec::Vec;

use proptest::prelude::*;

use super::*;

const WEB: &str = "web";
const VLAN: u16 = 10;

fn web() -> (u16, Endpoint, Protocol) {
    let address = Address::v4(0x0a00_0264);
    (VLAN, Endpoint { address, port: 80 }, Protocol::Tcp)
}

fn list(rules: Vec<(Action, Target)>) -> AccessList {
    let numbered = (1..).map(|at| at * 10).zip(rules);
    let rules = numbered.map(|(number, (action, to))| AccessRule { number, action, to }).collect();
    let mut list = AccessList::new(rules, None);
    list.compile(|name| (name.as_str() == WEB).then(web));
    list
}

/// Whether a rule fits, said once more, and slowly.
fn fits(rule: &AccessRule, asked: &Asked) -> bool {
    let starts_alike = |address: IpAddr, len: u8| {
        let destination: IpAddr = asked.destination.into();
        let bits = |octets: &[u8]| -> Vec<bool> {
            octets
                .iter()
                .flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1))
                .collect()
        };
        match (address, destination) {
            (IpAddr::V4(one), IpAddr::V4(other)) => {
                bits(&one.octets())[..len.into()] == bits(&other.octets())[..len.into()]
            }
            (IpAddr::V6(one), IpAddr::V6(other)) => {
                bits(&one.octets())[..len.into()] == bits(&other.octets())[..len.into()]
            }
            _ => false,
        }
    };
    let is_permit = rule.action == Action::Permit;
    match &rule.to {
        Target::Any => true,
        Target::Service(name) => {
            let (vlan, end, protocol) = web();
            name.as_str() == WEB
                && (vlan, end.address, protocol.number())
                    == (asked.vlan, asked.destination, asked.protocol)
                && asked.port.map_or(is_permit, |port| port == end.port)
        }
        Target::Hosts(Hosts { address, prefix_len, transport }) => {
            let by_transport = match transport {
                None => true,
                Some(Transport::Icmp) => matches!(asked.protocol, 1 | 58),
                Some(Transport::Of(protocol, ports)) => {
                    let at = |ports: &Ports| {
                        asked.port.map_or(is_permit, |p| ports.first <= p && p <= ports.last)
                    };
                    protocol.number() == asked.protocol && ports.as_ref().is_none_or(at)
                }
            };
            starts_alike(*address, *prefix_len) && by_transport
        }
    }
}

fn address() -> impl Strategy<Value = IpAddr> {
    // Few, so that they meet.
    prop_oneof![
        (0..4u8, 0..4u8).prop_map(|(a, b)| IpAddr::from([10, 0, a << 6, b << 6])),
        Just(IpAddr::from([10, 0, 2, 100])),
        Just(IpAddr::from([255, 255, 255, 255])),
        Just(IpAddr::from([0, 0, 0, 0])),
        (0..4u16, 0..4u16).prop_map(|(a, b)| IpAddr::from([0xfd00 | a, 0, 0, 0, 0, 0, 0, b << 14])),
        Just(IpAddr::from([0u16; 8])),
        Just(IpAddr::from([u16::MAX; 8])),
    ]
}

fn target() -> impl Strategy<Value = Target> {
    let ports = (0..4u16, 0..4u16)
        .prop_map(|(a, b)| Ports { first: 16_384 * a.min(b), last: 16_384 * a.max(b) + 16_383 });
    let protocol = prop_oneof![Just(Protocol::Tcp), Just(Protocol::Udp)];
    let transport = prop_oneof![
        Just(Transport::Icmp),
        (protocol, proptest::option::of(ports)).prop_map(|(p, ports)| Transport::Of(p, ports)),
    ];
    let hosts = (address(), 0..=128u8, proptest::option::of(transport)).prop_map(
        |(address, len, transport)| {
            let prefix_len = if address.is_ipv4() { len % 33 } else { len };
            Target::Hosts(Hosts { address, prefix_len, transport })
        },
    );
    prop_oneof![
        1 => Just(Target::Any),
        2 => Just(Target::Service(WEB.parse().unwrap())),
        1 => Just(Target::Service("gone".parse().unwrap())),
        16 => hosts,
    ]
}

fn asked() -> impl Strategy<Value = Asked> {
    let protocol = prop_oneof![Just(6u8), Just(17), Just(1), Just(58), Just(132)];
    let port = proptest::option::of(prop_oneof![Just(80u16), any::<u16>()]);
    let vlan = prop_oneof![Just(0u16), Just(VLAN)];
    (address(), protocol, port, vlan).prop_map(|(destination, protocol, port, vlan)| Asked {
        vlan,
        destination: destination.into(),
        protocol,
        port,
    })
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![Just(Action::Permit), Just(Action::Deny)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_first_rule_that_fits_decides(
        rules in prop::collection::vec((action(), target()), 0..=ACCESS_RULES_MAX),
        packets in prop::collection::vec(asked(), 1..40),
    ) {
        let list = list(rules);
        for asked in packets {
            let expected = list.rules.iter().position(|rule| fits(rule, &asked));
            let decides = list.decides(&asked);
            prop_assert_eq!(decides, expected, "{:?}", asked);
            let is_permit = |place: usize| list.rules[place].action == Action::Permit;
            prop_assert_eq!(list.permits(decides), expected.is_some_and(is_permit));
        }
    }
}

#[test]
fn a_list_without_rules_permits_nothing() {
    let list = list(Vec::new());
    let port = Some(80);
    let asked = Asked { vlan: 0, destination: Address::v4(1), protocol: 6, port };
    assert_eq!((list.decides(&asked), list.permits(None)), (None, false));
    assert_eq!(list.decides_other(), None);
}

#[test]
fn all_of_ipv6_is_nothing_of_ipv4() {
    let all = |address: IpAddr| Hosts { address, prefix_len: 0, transport: None };
    let list = list(std::vec![
        (Action::Permit, Target::Hosts(all([0u16; 8].into()))),
        (Action::Deny, Target::Hosts(all([0u8; 4].into()))),
    ]);
    let decides = |address: IpAddr| {
        let asked = Asked { vlan: 0, destination: address.into(), protocol: 6, port: Some(1) };
        list.decides(&asked)
    };
    for (address, place) in [
        (IpAddr::from([10, 0, 0, 1]), 1),
        (IpAddr::from([0u8; 4]), 1),
        (IpAddr::from([255u8; 4]), 1),
        (IpAddr::from([0u16; 8]), 0),
        (IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, 1]), 0),
        (IpAddr::from([u16::MAX; 8]), 0),
    ] {
        assert_eq!(decides(address), Some(place), "{address}");
    }
}

#[test]
fn what_stays_goes_on_counting() {
    let mut before = list(std::vec![
        (Action::Deny, Target::Service(WEB.parse().unwrap())),
        (Action::Permit, Target::Any)
    ]);
    before.count(Some(0));
    before.count(Some(1));
    before.count(None);
    let rules = before.rules[1..].to_vec();
    let after = AccessList::new(rules, Some(&before));
    assert_eq!(
        after.rules().map(|(rule, hits)| (rule.number, hits)).collect::<Vec<_>>(),
        [(20, 1)]
    );
    assert_eq!(after.denied(), 1);
}
