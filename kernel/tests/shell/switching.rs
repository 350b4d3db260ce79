//! What is stated of the switch itself: what is refused, and that the rest reaches the tables.

use lb::switch::fdb::FdbKind;
use lb::{MacAddr, PortId, PortRules, PortVlan, VlanId};

use crate::desk::{Bench, guest_mac};

/// A file, and what is wrong with it; nothing is if it may run.
const FILES: &[(&str, &str, &[&str])] = &[
    (
        "a service that says no VLAN, and one that says another",
        "set port p1 vlan access 10\nset guest web1 port p1 mac 52:54:00:01:00:01 address 10.0.2.21\nset service a vip 10.0.2.100 tcp 80\nset service a real web1\nset service b vip 10.0.2.100 tcp 81 vlan 20\nset service b empty sorry web1\nset service c vip 10.0.2.100 tcp 82 vlan 10\nset service c real web1",
        &[
            "% E205 line 4, column 20: service a: real web1 is at port p1, which has VLANs of its own; say in which of them the service is (set service … vip … vlan …) (line 1)",
            "% E205 line 6, column 27: service b: sorry web1 is at port p1, which does not carry VLAN 20 (line 1)",
        ],
    ),
    (
        "static MACs that cannot be",
        "set port p1 vlan access 10\nset port p2 vlan trunk 10,20\nset guest web1 port p1 mac 52:54:00:01:00:01\nset mac 52:54:00:01:00:01 port p2 vlan 10\nset mac 52:54:00:01:00:01 port p2 vlan 20\nset mac 52:54:00:00:00:01 port p2\nset mac 52:54:00:00:00:02 port p1 vlan 20\nset mac 52:54:00:00:00:03 port p1\nset mac 52:54:00:00:00:03 port p2 vlan 10\nset mac 02:6c:a9:fe:02:01 port p3\nset mac 52:54:00:00:00:04 port p9",
        &[
            "% E203 line 4, column 9: mac 52:54:00:01:00:01 vlan 10: 52:54:00:01:00:01 is also guest web1's",
            "% E205 line 6, column 9: mac 52:54:00:00:00:01: port p2 takes nothing without a tag: say in which VLAN it is",
            "% E205 line 7, column 9: mac 52:54:00:00:00:02 vlan 20: port p1 does not carry VLAN 20",
            "% E203 line 9, column 9: mac 52:54:00:00:00:03 vlan 10: it is also said to be at port p1",
            "% E203 line 10, column 9: mac 02:6c:a9:fe:02:01: 02:6c:a9:fe:02:01 is the switch's own",
            "% E201 line 11, column 9: mac 52:54:00:00:00:04: there is no port p9 (ports: up0 p1 p2 p3)",
        ],
    ),
    (
        "said twice, and of no port",
        "set port p1 vlan access 10\nset port p1 role guest\nset port p1 isolated\nset port p1 vlan trunk 10\nset port p1 role guest\nset mac 52:54:00:00:00:01 port p1\nset mac 52:54:00:00:00:01 port p2\nset system mac-ageing 20s\nset system mac-ageing 30s\nset mirror m from p1 to p2\nset mirror m from p1 to p3",
        &[
            "% E203 line 4, column 18: port p1 vlan was stated on line 1",
            "% E203 line 5, column 18: port p1 role was stated on line 2",
            "% E203 line 7, column 9: mac 52:54:00:00:00:01 was stated on line 6",
            "% E203 line 9, column 23: system mac-ageing was stated on line 8",
            "% E203 line 11, column 12: mirror m was stated on line 10",
        ],
    ),
    (
        "rules of a port that there is not",
        "set port p9 isolated",
        &[
            "% E201 line 1, column 10: port p9: no NIC is called so by itself (ports: up0 p1 p2 p3); say which it is: match pci … or match mac …",
        ],
    ),
    (
        "mirrors that cannot be",
        "set guest web1 port p1 mac 52:54:00:01:00:01\nset mirror a from p2 to p2\nset mirror b from up0 to p1\nset mirror c from up0 to p2\nset mirror d from p9 to p3\nset mirror e from up0 to p9 in\nset mirror f from up0 to p3 service web\nset mirror g from up0 to p3 in out vlan 10",
        &[
            "% E205 line 2, column 12: mirror a: its copies would go to the port they are of",
            "% E205 line 3, column 12: mirror b: port p1 would get copies and nothing else, but is guest web1's (line 1)",
            "% E205 line 4, column 12: mirror c: port p2 gets copies and nothing else, so mirror a has nothing to copy there (line 2)",
            "% E201 line 5, column 12: mirror d: there is no port p9 (ports: up0 p1 p2 p3)",
            "% E201 line 6, column 12: mirror e: there is no port p9 (ports: up0 p1 p2 p3)",
            "% E201 line 7, column 12: mirror f: its filter names web, which is no service (set service web …)",
        ],
    ),
    (
        "guests that never meet may be alike",
        "set port p1 vlan access 10\nset port p2 vlan access 20\nset guest a port p1 mac 52:54:00:01:00:01 address 10.0.2.21\nset guest b port p2 mac 52:54:00:01:00:01 address 10.0.2.21\nset service s vip 10.0.2.21 tcp 80 vlan 30",
        &[],
    ),
    (
        "guests that meet may not",
        "set port p1 vlan access 10\nset port p2 vlan trunk 10,20\nset port p3 vlan access 20\nset guest a port p1 mac 52:54:00:01:00:01 address 10.0.2.21\nset guest c port p3 mac 52:54:00:01:00:01 address 10.0.2.22\nset guest d port p2 mac 52:54:00:01:00:01 address 10.0.2.22\nset service s vip 10.0.2.22 tcp 80 vlan 20",
        &[
            "% E203 line 6, column 25: guest d: 52:54:00:01:00:01 is also guest a's (line 4)",
            "% E203 line 6, column 51: guest d: 10.0.2.22 is also guest c's (line 5)",
            "% E203 line 7, column 19: service s: 10.0.2.22 is guest c's own address; a VIP is nobody's own (line 5)",
        ],
    ),
];

#[test]
fn files_that_may_run_and_those_that_may_not() {
    for (what, file, expected) in FILES {
        let errors = Bench::new(4).start_up(file).err().unwrap_or_default();
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        let expected: Vec<&str> = match expected.len() {
            0 => vec![],
            1 => [expected, &["% E202 1 error, nothing was changed"][..]].concat(),
            _ => expected.to_vec(),
        };
        assert_eq!(errors[..expected.len()], expected, "{what}");
        assert!(errors.len() <= expected.len() + 1, "{what}: {errors:#?}");
    }
}

fn rules(bench: &Bench, at: usize) -> PortRules {
    let port = PortId::new(at).unwrap();
    bench.appliance.dataplane.tables().port(port).unwrap().rules.clone()
}

/// The FDB's entries that do not age.
fn bound(bench: &Bench) -> Vec<(MacAddr, u16, usize, FdbKind)> {
    let entries = bench.appliance.dataplane.fdb().iter(bench.appliance.now());
    let mut all: Vec<_> =
        entries.map(|entry| (entry.mac, entry.vlan, entry.port.index(), entry.kind)).collect();
    all.sort_by_key(|(mac, vlan, ..)| (*mac, *vlan));
    all
}

/// Each text as the difference to the one before; the last says nothing.
#[test]
fn what_is_said_reaches_the_tables_and_goes_again() {
    let mut bench = Bench::new(4);
    let (guest, own) = (MacAddr(guest_mac(1)), MacAddr([0x52, 0x54, 0, 0, 0, 1]));
    let at = |vlan| VlanId::new(vlan).unwrap();
    bench.configure(
        "set system mac-ageing 60s\n\
         set port p1 vlan access 10\n\
         set port p2 vlan trunk 20,30-31 native 10\n\
         set port p3 isolated\nset port p3 learning off\nset port p3 flood off\nset port p3 locked\n\
         set guest web1 port p1 mac 52:54:00:01:00:01 address 10.0.2.21\n\
         set mac 52:54:00:00:00:01 port p2\n\
         set mac 52:54:00:00:00:01 port p3 vlan 40\n",
    );
    let tagged = Box::new([20, 30, 31].map(at).into_iter().collect());
    let trunk = PortVlan::Trunk { tagged, native: Some(at(10)) };
    let expected = [
        PortRules::default(),
        PortRules { vlan: PortVlan::Access(at(10)), ..PortRules::default() },
        PortRules { vlan: trunk, ..PortRules::default() },
        PortRules {
            isolated: true,
            learning: false,
            flood: false,
            locked: true,
            ..PortRules::default()
        },
    ];
    assert_eq!([0, 1, 2, 3].map(|at| rules(&bench, at)), expected);
    let expected = [
        (own, 10, 2, FdbKind::Static),
        (own, 40, 3, FdbKind::Static),
        (guest, 10, 1, FdbKind::Pinned),
    ];
    assert_eq!(bound(&bench), expected);
    assert_eq!(bench.appliance.dataplane.fdb().ageing().as_secs(), 60);

    bench.configure(
        "set port p1 vlan access 20\n\
         set guest web1 port p1 mac 52:54:00:01:00:01 address 10.0.2.21\n\
         set mac 52:54:00:00:00:01 port p1\n\
         set mac 52:54:00:00:00:01 port p2 vlan 10\n",
    );
    let expected = [
        (own, 10, 2, FdbKind::Static),
        (own, 20, 1, FdbKind::Static),
        (guest, 20, 1, FdbKind::Pinned),
    ];
    assert_eq!(bound(&bench), expected, "what VLAN it is follows the port");
    assert_eq!(bench.appliance.dataplane.fdb().ageing(), lb::switch::fdb::AGEING);

    bench.configure("");
    assert_eq!([0, 1, 2, 3].map(|at| rules(&bench, at)), [(); 4].map(|()| PortRules::default()));
    assert_eq!(bound(&bench), []);
}
