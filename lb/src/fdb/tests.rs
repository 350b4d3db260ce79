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
    fdb.pin(mac(1), port(1), at(0));
    assert_eq!(fdb.learn(mac(1), 0, port(2), at(1)), Lesson::Pinned { to: port(1) });
    fdb.forget_port(port(1));
    assert_eq!(fdb.lookup(mac(1), 0, at(10_000)), Some(port(1)));
    fdb.forget(mac(1));
    assert_eq!(fdb.lookup(mac(1), 0, at(0)), None);
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
    assert_eq!(
        place(&fdb.buckets[0].entries(), port(20), false, at(9)),
        Some(0),
        "port 1's oldest"
    );
    assert_eq!(place(&fdb.buckets[0].entries(), port(1), false, at(9)), Some(0), "its own");
    assert_eq!(
        place(&fdb.buckets[0].entries(), port(7), true, at(9)),
        Some(5),
        "over share: its own"
    );
    assert_eq!(place(&fdb.buckets[0].entries(), port(20), true, at(9)), None);
    assert_eq!(place(&fdb.buckets[0].entries(), port(20), false, at(301)), Some(0), "aged");
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
