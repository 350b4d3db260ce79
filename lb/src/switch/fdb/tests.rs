//! The FDB beside a map, and its rules when it is full.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::vec::Vec;

fn port(index: usize) -> PortId {
    PortId::new(index).unwrap()
}

fn mac(number: u32) -> MacAddr {
    let [a, b, c, d] = number.to_be_bytes();
    MacAddr([0x52, 0x54, a, b, c, d])
}

fn at(seconds: u64) -> Instant {
    Instant::from_millis(seconds * 1000)
}

#[test]
fn learns_ages_and_moves() {
    let mut fdb = Fdb::new(64, 1);
    assert_eq!(fdb.learn(mac(1), 0, port(1), at(0)), Lesson::New);
    assert_eq!(fdb.learn(mac(1), 0, port(1), at(100)), Lesson::Known);
    assert_eq!(fdb.lookup(mac(1), 0, at(399)), Some(port(1)));
    assert_eq!(fdb.lookup(mac(1), 0, at(400)), None, "300 s after the last frame");
    assert_eq!(fdb.learn(mac(1), 0, port(2), at(401)), Lesson::Moved { from: port(1) });
    assert_eq!(fdb.lookup(mac(1), 0, at(402)), Some(port(2)));
    assert_eq!(fdb.lookup(mac(1), 10, at(402)), None, "another VLAN is another address");
    fdb.forget_port(port(2));
    assert_eq!(fdb.lookup(mac(1), 0, at(402)), None);
    assert_eq!(fdb.held, [0; PORTS_MAX]);
}

#[test]
fn a_pinned_address_stays() {
    let mut fdb = Fdb::new(64, 1);
    fdb.learn(mac(1), 0, port(2), at(0));
    fdb.pin(mac(1), 0, port(1), at(0));
    assert_eq!(fdb.learn(mac(1), 0, port(2), at(1)), Lesson::Pinned { to: port(1) });
    fdb.forget_port(port(1));
    assert_eq!(fdb.lookup(mac(1), 0, at(10_000)), Some(port(1)));
    fdb.unpin(mac(1), 0);
    assert_eq!(fdb.lookup(mac(1), 0, at(0)), None);
}

/// VLAN 0 stands for all VLANs of a guest that is pinned, another one for itself.
#[test]
fn what_is_pinned_in_all_vlans_and_what_in_one() {
    let mut fdb = Fdb::new(64, 1);
    fdb.learn(mac(1), 20, port(2), at(0));
    fdb.pin(mac(1), 0, port(1), at(0));
    assert_eq!(fdb.lookup(mac(1), 20, at(0)), None, "what was learned before says nothing now");
    let stolen = Lesson::Pinned { to: port(1) };
    assert_eq!([0, 20].map(|vlan| fdb.learn(mac(1), vlan, port(2), at(1))), [stolen; 2]);
    assert_eq!(fdb.learn(mac(1), 20, port(1), at(1)), Lesson::Known);
    assert_eq!(fdb.lookup(mac(1), 20, at(1)), Some(port(1)), "where it is heard is learned");
    assert_eq!([1, 2].map(|second| fdb.learn(mac(1), 20, port(2), at(second))), [stolen; 2]);
    fdb.unpin(mac(1), 0);
    assert_eq!([0, 20].map(|vlan| fdb.lookup(mac(1), vlan, at(2))), [None; 2]);

    fdb.pin(mac(1), 10, port(1), at(0));
    assert_eq!(fdb.learn(mac(1), 10, port(2), at(1)), stolen);
    assert_eq!(fdb.learn(mac(1), 20, port(2), at(1)), Lesson::New, "another VLAN");
    fdb.unpin(mac(1), 10);
    assert_eq!([10, 20].map(|vlan| fdb.lookup(mac(1), vlan, at(2))), [None, Some(port(2))]);
    assert_eq!(fdb.held.iter().sum::<u32>(), 1);
}

#[test]
fn a_static_address_stays_in_its_vlan() {
    let mut fdb = Fdb::new(64, 1);
    fdb.learn(mac(1), 10, port(2), at(0));
    assert!(fdb.set_static(mac(1), 10, port(1), at(0)));
    assert_eq!(fdb.learn(mac(1), 10, port(2), at(1)), Lesson::Pinned { to: port(1) });
    assert_eq!(fdb.learn(mac(1), 20, port(2), at(1)), Lesson::New, "another VLAN");
    fdb.forget_port(port(1));
    assert_eq!(fdb.lookup(mac(1), 10, at(10_000)), Some(port(1)), "never aged");
    assert!(fdb.set_static(mac(1), 10, port(3), at(2)), "said again");
    assert_eq!(fdb.lookup(mac(1), 10, at(2)), Some(port(3)));
    fdb.delete_static(mac(1), 10);
    assert_eq!(fdb.lookup(mac(1), 10, at(2)), None);
    assert_eq!((fdb.held.iter().sum::<u32>(), fdb.counters.evicted), (1, 0));
}

#[test]
fn static_addresses_count_and_are_refused_when_their_bucket_is_full() {
    let mut fdb = Fdb::new(WAYS, 3);
    (0..7).for_each(|number| assert!(fdb.set_static(mac(number), 0, port(1), at(0))));
    assert_eq!(fdb.learn(mac(100), 0, port(2), at(0)), Lesson::New);
    assert!(fdb.set_static(mac(7), 0, port(1), at(0)), "what was learned gives way");
    assert!(!fdb.set_static(mac(8), 0, port(1), at(0)));
    assert_eq!(fdb.learn(mac(100), 0, port(2), at(1)), Lesson::Refused);
    assert_eq!((fdb.held[1], fdb.held[2], fdb.iter(at(1)).count()), (8, 0, 8));
}

#[test]
fn nothing_is_learned_at_a_closed_port_but_what_is_said_holds() {
    let mut fdb = Fdb::new(64, 1);
    fdb.learn(mac(1), 0, port(1), at(0));
    fdb.set_learning(port(1), false);
    assert_eq!(fdb.lookup(mac(1), 0, at(0)), None, "what was learned there is forgotten");
    assert_eq!(fdb.learn(mac(1), 0, port(1), at(0)), Lesson::Unlearned);
    fdb.learn(mac(1), 0, port(2), at(0));
    assert_eq!(fdb.learn(mac(1), 0, port(1), at(2)), Lesson::Unlearned, "no move either");
    assert_eq!(fdb.lookup(mac(1), 0, at(2)), Some(port(2)));
    fdb.set_static(mac(3), 10, port(1), at(0));
    fdb.pin(mac(4), 0, port(1), at(0));
    for (known, vlan) in [(mac(3), 10), (mac(4), 0), (mac(4), 10)] {
        assert_eq!(fdb.learn(known, vlan, port(1), at(3)), Lesson::Known);
        assert_eq!(fdb.lookup(known, vlan, at(3)), Some(port(1)));
    }
    assert_eq!(fdb.learn(mac(3), 0, port(1), at(3)), Lesson::Unlearned, "said of another VLAN");
    fdb.set_learning(port(1), true);
    assert_eq!(fdb.learn(mac(3), 0, port(1), at(4)), Lesson::New);
}

#[test]
fn how_long_an_address_may_be_silent_can_be_said() {
    let mut fdb = Fdb::new(64, 1);
    fdb.set_ageing(Duration::from_secs(10));
    fdb.learn(mac(1), 0, port(1), at(0));
    assert_eq!([9, 10].map(|now| fdb.lookup(mac(1), 0, at(now))), [Some(port(1)), None]);
    assert_eq!([9, 10].map(|now| fdb.iter(at(now)).count()), [1, 0]);
    fdb.set_ageing(Duration::from_secs(100));
    assert_eq!(fdb.lookup(mac(1), 0, at(99)), Some(port(1)), "holds for what is there");
}

#[test]
fn p45_a_port_that_makes_up_addresses_pushes_nobody_out() {
    let mut fdb = Fdb::new(1024, 7);
    let victims: Vec<_> = (0..40).map(|i| (mac(i), port(2 + i as usize % 4))).collect();
    for &(mac, port) in &victims {
        assert_eq!(fdb.learn(mac, 0, port, at(0)), Lesson::New);
    }
    for number in 0..1_000_000 {
        fdb.learn(mac(1000 + number), 0, port(1), at(1));
    }
    for (mac, port) in victims {
        assert_eq!(fdb.lookup(mac, 0, at(2)), Some(port));
    }
    assert!(fdb.held[1] as usize <= fdb.capacity() / PORT_SHARE);
    assert_eq!(fdb.learn(mac(99), 0, port(3), at(2)), Lesson::New, "others still learn");
}

#[test]
fn addresses_that_come_and_go_for_days_do_not_use_up_a_ports_share() {
    let mut fdb = Fdb::new(1024, 7);
    let per_round = 64;
    for round in 0..40 {
        let now = at(u64::from(round) * 600);
        for _ in 0..SWEEP_TURNS {
            fdb.sweep(now);
        }
        let macs = (0..per_round).map(|number| mac(round * per_round + number));
        let learned = macs.filter(|&mac| fdb.learn(mac, 0, port(0), now) == Lesson::New);
        assert_eq!(learned.count(), per_round as usize, "round {round}");
    }
    assert_eq!(fdb.held[0], per_round);
}

#[test]
fn a_full_bucket_takes_from_the_largest_holder() {
    let mut fdb = Fdb::new(WAYS, 3);
    fdb.held = [0; PORTS_MAX];
    let entry = |number, port_index, second| {
        let (mac, port) = (mac(number), port(port_index));
        FdbEntry { mac, vlan: 0, port, kind: FdbKind::Learned, seen: at(second) }
    };
    for number in 0..8 {
        let holder = if number < 5 { 1 } else { 2 + number as usize };
        fdb.replace(0, number as usize, entry(number, holder, u64::from(number)));
    }
    let place = |port_index, over_share, second| {
        let aged = |entry: &FdbEntry| entry.is_aged(at(second), AGEING);
        full::place(&fdb.buckets[0].entries(), port(port_index), over_share, aged)
    };
    assert_eq!(place(20, false, 9), Some(0), "port 1's oldest");
    assert_eq!(place(1, false, 9), Some(0), "its own");
    assert_eq!(place(7, true, 9), Some(5), "over share: its own");
    assert_eq!(place(20, true, 9), None);
    assert_eq!(place(20, false, 301), Some(0), "aged");
}

proptest! {
    /// With room for all, and moves a second apart, the table is a map with an age.
    #[test]
    fn behaves_as_a_map(steps in proptest::collection::vec((0u32..24, 1usize..4, 1u64..200), 1..200)) {
        let mut fdb = Fdb::new(4096, 11);
        let mut model = BTreeMap::<u32, (usize, u64)>::new();
        let mut second = 0;
        for (number, port_index, step) in steps {
            second += step;
            fdb.learn(mac(number), 0, port(port_index), at(second));
            model.insert(number, (port_index, second));
            for (&number, &(port_index, seen)) in &model {
                let holds = second - seen < AGEING.as_secs();
                prop_assert_eq!(fdb.lookup(mac(number), 0, at(second)), holds.then(|| port(port_index)));
            }
            let live = fdb.iter(at(second)).count();
            prop_assert_eq!(live, model.values().filter(|m| second - m.1 < AGEING.as_secs()).count());
        }
    }
}
