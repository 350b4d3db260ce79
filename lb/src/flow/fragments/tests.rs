//! The fragments' table beside a slow and obvious model, and what hostile senders do to it.

use super::*;
use crate::limits::{FRAGMENTED_DATAGRAMS_MAX, HELD_FRAGMENTS_MAX};
use core::net::Ipv4Addr;
use proptest::prelude::*;
use std::vec::Vec;

mod model;

const UDP: u8 = Protocol::Udp.number();
const TCP: u8 = Protocol::Tcp.number();

fn port(index: usize) -> PortId {
    PortId::new(index).unwrap()
}

fn key(port_index: usize, identification: u32) -> DatagramKey {
    DatagramKey {
        ingress: port(port_index),
        vlan: 0,
        source: Ipv4Addr::new(192, 0, 2, 7).into(),
        destination: Ipv4Addr::new(10, 0, 2, 100).into(),
        identification,
        protocol: UDP,
    }
}

fn ms(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

fn piece(offset_bytes: u16, len_bytes: usize, more: bool) -> Fragment {
    Fragment::new(offset_bytes, len_bytes, more).unwrap()
}

fn table() -> Fragments<char> {
    Fragments::new(FRAGMENTED_DATAGRAMS_MAX, HELD_FRAGMENTS_MAX, 7)
}

impl<T: Copy> Fragments<T> {
    fn released(&mut self, key: &DatagramKey) -> Vec<Vec<u8>> {
        let (mut frames, mut frame) = (Vec::new(), [0; HELD_BYTES_MAX]);
        while let Some((len, _)) = self.release(key, &mut frame) {
            frames.push(frame[..len].to_vec());
        }
        frames
    }

    /// How many held frames of each port the sweep says have ended.
    fn swept(&mut self, now: Instant) -> [usize; PORTS_MAX] {
        let mut ended = [0; PORTS_MAX];
        self.sweep(now, &mut |port| ended[port.index()] += 1);
        ended
    }

    /// What is counted agrees with what is there.
    fn check(&self) {
        let counters = &self.counters;
        let gone = counters.completed + counters.expired + counters.evicted;
        assert_eq!(counters.begun, gone + self.len() as u64);
        assert_eq!(self.len(), self.places.iter().flatten().count());
        assert!(self.len() <= FRAGMENTED_DATAGRAMS_MAX);
    }
}

#[test]
fn later_fragments_follow_their_first() {
    let mut table = table();
    table.first(&key(1, 9), piece(0, 1480, true), 'a', ms(0)).unwrap();
    table.first(&key(1, 10), piece(0, 1480, true), 'b', ms(0)).unwrap();
    for (identification, decision) in [(9, 'a'), (10, 'b')] {
        let key = key(1, identification);
        assert_eq!(
            table.later(&key, piece(1480, 1480, true), &[1; 60], ms(1)),
            Ok(Later::Decided(decision))
        );
        assert_eq!(
            table.later(&key, piece(2960, 3, false), &[2; 60], ms(1)),
            Ok(Later::Decided(decision))
        );
    }
    assert!(table.is_empty(), "complete datagrams leave at once");
    let expected = FragmentCounters { begun: 2, completed: 2, ..FragmentCounters::default() };
    assert_eq!(table.counters(), &expected);
}

#[test]
fn f10_every_order_of_a_datagram_goes_one_way() {
    let fragments =
        [piece(0, 16, true), piece(16, 8, true), piece(24, 32, true), piece(56, 5, false)];
    for order in 0..256usize {
        let order = [order & 3, order >> 2 & 3, order >> 4 & 3, order >> 6];
        if (0..4).any(|at| !order.contains(&at)) {
            continue;
        }
        let mut table = table();
        let (mut early, mut delivered) = (Vec::new(), Vec::new());
        for at in order {
            let frame = std::vec![at as u8; 60 + at];
            if fragments[at].is_first() {
                table.first(&key(1, 9), fragments[at], 'a', ms(10)).unwrap();
                assert_eq!(table.released(&key(1, 9)), early, "in the order of arrival {order:?}");
                delivered.push(frame);
                delivered.append(&mut early);
                continue;
            }
            match table.later(&key(1, 9), fragments[at], &frame, ms(10)).unwrap() {
                Later::Decided('a') => delivered.push(frame),
                Later::Decided(other) => panic!("{other} was never decided"),
                Later::Held => early.push(frame),
            }
        }
        assert_eq!((delivered.len(), early.len()), (4, 0), "{order:?}");
        assert_eq!((table.len(), table.held_of(port(1))), (0, 0), "{order:?}");
        assert_eq!(table.swept(ms(5000)), [0; PORTS_MAX]);
    }
}

#[test]
fn f10_without_its_first_a_datagram_ends_where_it_is_held() {
    let mut table = table();
    for at in 1..4u16 {
        let held = table.later(&key(1, 9), piece(at * 8, 8, true), &[0; 60], ms(at.into()));
        assert_eq!(held, Ok(Later::Held));
    }
    assert_eq!(table.swept(ms(500)), [0; PORTS_MAX]);
    assert_eq!(table.held_of(port(1)), 3);
    let ended = table.swept(ms(501));
    assert_eq!((ended[1], ended.iter().sum()), (3, 3), "the oldest has waited 500 ms");
    assert_eq!(table.held_of(port(1)), 0);
    let too_late = table.first(&key(1, 9), piece(0, 8, true), 'a', ms(502));
    assert_eq!(too_late, Err(Refused), "what is left would be of no use");
    assert_eq!(table.swept(ms(2000)), [0; PORTS_MAX]);
    assert_eq!(table.len(), 1);
    assert_eq!(table.swept(ms(2001)), [0; PORTS_MAX]);
    assert!(table.is_empty());
    assert_eq!((table.counters().held, table.counters().undelivered), (3, 3));
}

#[test]
fn an_identification_may_come_again_after_two_seconds() {
    let mut table = table();
    table.first(&key(1, 9), piece(0, 8, true), 'a', ms(0)).unwrap();
    let late = table.later(&key(1, 9), piece(8, 8, true), &[0; 60], ms(1999));
    assert_eq!(late, Ok(Later::Decided('a')));
    table.first(&key(1, 9), piece(0, 8, true), 'b', ms(2000)).unwrap();
    let last = table.later(&key(1, 9), piece(8, 8, false), &[0; 60], ms(2001));
    assert_eq!(last, Ok(Later::Decided('b')), "no sweep was needed");
    assert_eq!((table.counters().expired, table.counters().completed), (1, 1));
    table.check();
}

#[test]
fn p20_orphans_cost_nobody_else_a_place() {
    let mut table = table();
    let places = table.places.len();
    let early = |table: &mut Fragments<char>, port_index| {
        let key = key(port_index, 1);
        assert_eq!(
            table.later(&key, piece(8, 8, false), &[port_index as u8; 60], ms(0)),
            Ok(Later::Held)
        );
    };
    (2..12).for_each(|port_index| early(&mut table, port_index));
    let mut seen_ended = 0;
    for number in 0..1_000_000 {
        // Port 1 alone, then five of them, each of which would like a quarter of all.
        let flooder = if number < 500_000 { 20 } else { 20 + number as usize % 5 };
        let orphan = table.later(&key(flooder, number), piece(800, 80, true), &[9; 60], ms(1));
        assert_eq!(orphan, Ok(Later::Held));
        if number % 1000 == 0 {
            seen_ended += table.swept(ms(1)).iter().sum::<usize>();
        }
        if number == 499_999 {
            assert_eq!(table.shares.len_of(port(20)), FRAGMENTED_DATAGRAMS_MAX / 4);
            assert_eq!(table.held.len_of(port(20)), HELD_FRAGMENTS_MAX / 4);
        }
    }
    assert_eq!(table.len(), FRAGMENTED_DATAGRAMS_MAX);
    assert_eq!(table.places.len(), places);
    assert_eq!(table.counters().refused, 0, "the buckets had room");
    table.check();
    (12..16).for_each(|port_index| early(&mut table, port_index));
    for port_index in 2..16 {
        table.first(&key(port_index, 1), piece(0, 8, true), 'a', ms(2)).unwrap();
        assert_eq!(table.released(&key(port_index, 1)), [[port_index as u8; 60]]);
    }
    for now in (1..60).map(|turn| ms(2 + turn * 100)) {
        seen_ended += table.swept(now).iter().sum::<usize>();
    }
    assert_eq!(seen_ended, 1_000_000, "each orphan was heard of once");
    assert!(table.is_empty());
    assert_eq!((0..PORTS_MAX).map(|at| table.held_of(port(at))).sum::<usize>(), 0);
    table.check();
}

#[test]
fn p20_a_flood_hardly_hurts_the_honest_on_its_own_port() {
    let mut table = table();
    for number in 0..10_000 {
        let honest = key(0, 1_000_000 + number);
        assert_eq!(table.later(&honest, piece(8, 8, false), &[1; 60], ms(0)), Ok(Later::Held));
        for orphan in 0..10 {
            let key = key(0, number * 10 + orphan);
            let _ = table.later(&key, piece(800, 80, true), &[9; 60], ms(0));
        }
        table.first(&honest, piece(0, 8, true), 'a', ms(0)).unwrap();
        assert_eq!(table.released(&honest), [[1; 60]]);
    }
    table.check();
}

#[test]
fn p21_tiny_first_fragments() {
    let cases: &[(&str, u8, Fragment, bool)] = &[
        ("ports only", TCP, piece(0, 8, true), true),
        ("flags, but no checksum", TCP, piece(0, 16, true), true),
        ("a whole header", TCP, piece(0, 24, true), false),
        ("not the first", TCP, piece(8, 8, true), false),
        ("all of UDP's header", UDP, piece(0, 8, true), false),
        ("all of an echo's header", 1, piece(0, 8, true), false),
    ];
    for (what, protocol, fragment, tiny) in cases {
        assert_eq!(fragment.is_tiny(*protocol), *tiny, "{what}");
    }
}

#[test]
fn p22_fragments_that_no_datagram_can_have() {
    let cases: &[(&str, u16, usize, bool, bool)] = &[
        ("the ping of death", 65_528, 8, false, false),
        ("the last byte there is", 65_528, 7, false, true),
        ("a payload beyond all", 8, usize::MAX, false, false),
        ("nothing", 8, 0, false, false),
        ("nothing, and more", 0, 0, true, false),
        ("twelve bytes, and more", 0, 12, true, false),
        ("twelve bytes at the end", 16, 12, false, true),
        ("an offset that no header can say", 12, 8, true, false),
    ];
    for (what, offset_bytes, len_bytes, more, good) in cases {
        assert_eq!(Fragment::new(*offset_bytes, *len_bytes, *more).is_ok(), *good, "{what}");
    }
}

#[test]
fn p22_what_does_not_fit_spoils_its_datagram() {
    type Piece = (u16, usize, bool);
    let cases: &[(&str, &[Piece])] = &[
        ("teardrop", &[(0, 32, true), (24, 4, false)]),
        ("the same again", &[(0, 16, true), (16, 16, true), (16, 16, true)]),
        ("two firsts", &[(0, 16, true), (0, 16, true)]),
        ("inside of another", &[(0, 64, true), (16, 8, true)]),
        ("around another", &[(0, 16, true), (32, 8, true), (24, 24, true)]),
        ("into what came before", &[(0, 16, true), (24, 16, true), (16, 16, true)]),
        ("after the end", &[(0, 16, true), (24, 8, false), (32, 8, true)]),
        ("an end before what came", &[(0, 16, true), (40, 8, true), (24, 8, false)]),
        ("two ends", &[(0, 16, true), (40, 8, false), (24, 8, false)]),
        (
            "too many holes",
            &[
                (0, 8, true),
                (16, 8, true),
                (32, 8, true),
                (48, 8, true),
                (64, 8, true),
                (80, 8, true),
                (96, 8, true),
                (112, 8, true),
                (128, 8, true),
            ],
        ),
    ];
    for (what, pieces) in cases {
        let mut table = table();
        let mut receive = |&(offset, len, more): &Piece| match piece(offset, len, more) {
            first if first.is_first() => table.first(&key(1, 9), first, 'a', ms(0)),
            later => table.later(&key(1, 9), later, &[0; 60], ms(0)).map(|_| ()),
        };
        let (bad, good) = pieces.split_last().unwrap();
        assert!(good.iter().all(|piece| receive(piece).is_ok()), "{what}");
        assert_eq!(receive(bad), Err(Refused), "{what}");
        assert_eq!(receive(&(800, 8, true)), Err(Refused), "{what}: all that follow");
        assert_eq!((table.len(), table.counters().spoiled), (1, 1), "{what}");
    }
}

#[test]
fn p22_the_held_of_a_spoiled_datagram_end_at_once() {
    let mut table = table();
    table.later(&key(1, 9), piece(8, 16, true), &[0; 60], ms(0)).unwrap();
    table.later(&key(1, 9), piece(24, 8, true), &[0; 60], ms(0)).unwrap();
    assert_eq!(table.first(&key(1, 9), piece(0, 16, true), 'a', ms(1)), Err(Refused));
    assert_eq!(table.held.len_of(port(1)), 0);
    assert_eq!(table.held_of(port(1)), 2, "nobody has heard of it yet");
    assert_eq!(table.released(&key(1, 9)), Vec::<Vec<u8>>::new());
    assert_eq!(table.swept(ms(1))[1], 2);
    assert_eq!(table.held_of(port(1)), 0);
}

#[test]
fn p22_no_port_spoils_what_comes_in_on_another() {
    let mut table = table();
    table.first(&key(1, 9), piece(0, 8, true), 'a', ms(0)).unwrap();
    table.first(&key(2, 9), piece(0, 8, true), 'b', ms(0)).unwrap();
    assert_eq!(table.later(&key(2, 9), piece(0, 8, true), &[0; 60], ms(0)), Err(Refused));
    let last = table.later(&key(1, 9), piece(8, 8, false), &[0; 60], ms(0));
    assert_eq!(last, Ok(Later::Decided('a')));
}

#[test]
fn p36_a_payload_of_64_kib_in_order_and_backwards() {
    let pieces: Vec<_> =
        (0..45u16).map(|at| piece(at * 1480, if at == 44 { 408 } else { 1480 }, at < 44)).collect();
    let mut forwards = table();
    forwards.first(&key(1, 9), pieces[0], 'a', ms(0)).unwrap();
    for &later in &pieces[1..] {
        let followed = forwards.later(&key(1, 9), later, &[0; 1514], ms(0));
        assert_eq!(followed, Ok(Later::Decided('a')));
    }
    assert!(forwards.is_empty());

    let mut backwards = table();
    let held = pieces[1..]
        .iter()
        .rev()
        .filter(|&&later| backwards.later(&key(1, 9), later, &[0; 1514], ms(0)).is_ok());
    assert_eq!(held.count(), HELD_FRAGMENTS_MAX / 4, "as many as one port may have held");
    assert_eq!(backwards.first(&key(1, 9), pieces[0], 'a', ms(0)), Err(Refused));
    assert_eq!(backwards.swept(ms(0))[1], HELD_FRAGMENTS_MAX / 4);
}

#[test]
fn a_frame_that_fits_in_no_slot_pushes_nobody_out() {
    let mut table = Fragments::<char>::new(8, 4, 7);
    table.later(&key(1, 1), piece(8, 8, true), &[1; HELD_BYTES_MAX], ms(0)).unwrap();
    let too_long = [2; HELD_BYTES_MAX + 1];
    assert_eq!(table.later(&key(1, 2), piece(8, 8, true), &too_long, ms(0)), Err(Refused));
    table.first(&key(1, 1), piece(0, 8, true), 'a', ms(0)).unwrap();
    assert_eq!(table.released(&key(1, 1)), [[1; HELD_BYTES_MAX]]);
    assert_eq!(table.first(&key(1, 2), piece(0, 8, true), 'a', ms(0)), Err(Refused));
}

#[test]
fn who_gives_way() {
    // Slots in the order of arrival, each with its port; who comes; what is said.
    let cases: &[(&str, &[usize], usize, Room)] = &[
        ("there is room", &[1, 2, 3], 1, Room::Free),
        ("a quarter is held already", &[2, 1, 1], 1, Room::After(1)),
        ("the largest holder's oldest", &[5, 1, 1, 2, 3, 4, 6, 7], 8, Room::After(1)),
        ("its own, if none has more", &[5, 1, 2, 3, 4, 6, 7, 8], 1, Room::After(1)),
        ("nobody's last", &[1, 2, 3, 4, 5, 6, 7, 8], 9, Room::None),
    ];
    for (what, holders, newcomer, room) in cases {
        let mut shares = Shares::new(8, 8);
        for (slot, &holder) in holders.iter().enumerate() {
            shares.enter(port(holder), slot);
        }
        assert_eq!(shares.room(port(*newcomer)), *room, "{what}");
    }
    assert_eq!(Shares::new(0, 0).room(port(0)), Room::None, "a table without a place");
}

proptest! {
    /// However little room there is: a port stays within its share, never takes another's only
    /// datagram or held frame, and every held frame ends once.
    #[test]
    fn a_small_table_keeps_its_rules(
        acts in proptest::collection::vec((0usize..6, 0u32..5, 0u16..4, 0u64..90), 1..300),
    ) {
        let mut table = Fragments::<u32>::new(8, 8, 3);
        let (mut now, mut held, mut ended) = (0, 0, 0);
        for (ingress, identification, at, wait) in acts {
            let key = key(ingress, identification);
            let lens = |table: &Fragments<u32>| {
                [0, 1, 2, 3, 4, 5].map(|at| (table.shares.len_of(port(at)), table.held.len_of(port(at))))
            };
            let before = lens(&table);
            if at == 0 {
                if table.first(&key, piece(0, 8, true), 1, ms(now)).is_ok() {
                    ended += table.released(&key).len();
                }
            } else {
                let later = table.later(&key, piece(at * 8, 8, at < 3), &[0; 60], ms(now));
                held += usize::from(later == Ok(Later::Held));
            }
            let after = lens(&table);
            for other in (0..6).filter(|&other| other != ingress) {
                prop_assert!(before[other].0 != 1 || after[other].0 == 1);
                let gave_datagram = after[other].0 < before[other].0;
                prop_assert!(before[other].1 != 1 || after[other].1 == 1 || gave_datagram);
            }
            prop_assert!(after.iter().all(|&(datagrams, held)| datagrams <= 2 && held <= 2));
            now += wait;
            if wait % 3 == 0 {
                ended += table.swept(ms(now)).iter().sum::<usize>();
            }
            let waiting = (0..6).map(|at| table.held_of(port(at))).sum::<usize>();
            prop_assert_eq!(held, ended + waiting);
            table.check();
        }
    }
}
