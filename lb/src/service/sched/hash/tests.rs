//! The numbers themselves, which no version may change, and what rendezvous promises: shares by
//! weight, the same answer in any order, and nobody moved who need not move.

use core::net::Ipv4Addr;

use proptest::prelude::*;
use std::collections::BTreeMap;
use std::format;
use std::vec::Vec;

use super::*;
use crate::guest::load::RealLoad;
use crate::service::sched::{Arrival, Board, Candidate};
use crate::{Instant, Scheduler};

fn name(text: &str) -> NameHash {
    NameHash::of(&text.parse().unwrap())
}

fn client(number: u32) -> FlowHash {
    FlowHash::of_client(Ipv4Addr::from_bits(number).into())
}

/// Reals by their guests' numbers and weights, in slots as they come.
fn placed(reals: &[(usize, u16)], key: FlowHash) -> Option<usize> {
    let load = RealLoad::default();
    let now = Instant::START;
    let candidate = |(slot, &(guest, weight_set)): (usize, &(usize, u16))| Candidate {
        real: RealId(slot as u16),
        weight: load.effective_weight(weight_set, now),
        weight_set,
        name: name(&format!("web{guest}")),
        flows_open: 0,
        flows_waiting: 0,
        answer_time: None,
        load: &load,
    };
    let candidates: Vec<_> = reals.iter().enumerate().map(candidate).collect();
    let mut board = Board::new();
    board.make(Scheduler::Sh, &candidates, now);
    board.choose(&Arrival { now, dice: 0, key }).map(|real| reals[real.index()].0)
}

#[test]
fn the_numbers_are_these_on_every_appliance() {
    let client = ([192, 0, 2, 7].into(), 40_000);
    let vip = ([10, 0, 2, 100].into(), 80);
    let six = "2001:db8::7".parse().unwrap();
    assert_eq!(name("web1").0, 0x02cc_c994_1ceb_f00b);
    assert_eq!(name("a-name-of-more-than-8").0, 0xfb9d_6d7b_5979_933f);
    assert_eq!(FlowHash::of_client(client.0).0, 0x2b64_1c32_a193_db32);
    assert_eq!(FlowHash::of_client(six).0, 0x4256_d91c_f6db_6100);
    assert_eq!(FlowHash::of_ends(client, Protocol::Tcp, vip).0, 0xa5c0_cf7b_8a76_cb05);
    assert_eq!(FlowHash::of_ends(client, Protocol::Udp, vip).0, 0x23d0_e4b0_f10c_7946);
}

#[test]
fn every_part_of_the_ends_counts() {
    let of = |client: u8, client_port, protocol, vip: u8, port| {
        let (client, vip) = ([10, 0, 0, client].into(), [10, 0, 1, vip].into());
        FlowHash::of_ends((client, client_port), protocol, (vip, port)).0
    };
    let all = [
        of(1, 1, Protocol::Tcp, 1, 1),
        of(2, 1, Protocol::Tcp, 1, 1),
        of(1, 2, Protocol::Tcp, 1, 1),
        of(1, 1, Protocol::Udp, 1, 1),
        of(1, 1, Protocol::Tcp, 2, 1),
        of(1, 1, Protocol::Tcp, 1, 2),
    ];
    for (at, one) in all.iter().enumerate() {
        for other in &all[..at] {
            // Half of 64 bits differ, give or take.
            assert!((16..=48).contains(&(one ^ other).count_ones()), "{one:x} {other:x}");
        }
    }
}

#[test]
fn logarithms_are_right_to_three_millionths() {
    let unit = (1u64 << LOG_BITS) as f64;
    let mut number = 1u64;
    for _ in 0..20_000 {
        let error = log2(number) as f64 / unit - (number as f64).log2();
        assert!(error.abs() < 3e-6, "{number}: {error}");
        number = mix(number.wrapping_add(1)) >> (number % 60);
        number = number.max(1);
    }
    assert_eq!(log2(1), 0);
    assert_eq!(log2(1 << 63), 63 << LOG_BITS);
    assert!(wait(u64::MAX) < 4 && wait(0) == 64 << LOG_BITS);
}

#[test]
fn shares_are_as_the_weights() {
    let cases: [&[u16]; 4] = [&[100, 100, 100], &[100, 200, 300], &[1000, 1], &[7, 0, 3, 90]];
    for weights in cases {
        let reals: Vec<_> = weights.iter().copied().enumerate().collect();
        let mut counts = BTreeMap::<usize, u32>::new();
        // Neighbours, as clients of one network are.
        for at in 0..100_000 {
            *counts.entry(placed(&reals, client(0x0a00_0000 + at)).unwrap()).or_default() += 1;
        }
        let sum: u32 = weights.iter().copied().map(u32::from).sum();
        for (guest, weight) in reals {
            let due = 100_000 * u32::from(weight) / sum;
            let given = counts.get(&guest).copied().unwrap_or(0);
            // Four standard deviations.
            let slack = 4 * due.isqrt();
            assert!(given.abs_diff(due) <= slack, "{weights:?}: {counts:?}");
        }
    }
    assert_eq!(placed(&[], client(1)), None);
    assert_eq!(placed(&[(1, 0)], client(1)), None);
}

proptest! {
    /// In any order of the reals a client finds the same guest; of others that go he notices
    /// nothing; if his own goes he moves once and comes back with it; if weights change, he moves
    /// to one that grew or from one that shrank.
    #[test]
    fn nobody_moves_who_need_not(
        weights in proptest::collection::vec(1..=1000u16, 2..20),
        address in any::<u32>(),
        (turn, gone, weight) in (any::<usize>(), any::<usize>(), 0..=1000u16),
    ) {
        let reals: Vec<_> = weights.iter().copied().enumerate().collect();
        let (turn, gone) = (turn % reals.len(), gone % reals.len());
        let home = placed(&reals, client(address)).unwrap();
        let mut other_order = reals.clone();
        other_order.rotate_left(turn);
        other_order.reverse();
        prop_assert_eq!(placed(&other_order, client(address)), Some(home));
        let mut without = other_order;
        without.retain(|&(guest, _)| guest != gone);
        let then = placed(&without, client(address)).unwrap();
        prop_assert_eq!(then == home, gone != home);
        let mut changed = reals.clone();
        let before = std::mem::replace(&mut changed[gone].1, weight);
        let then = placed(&changed, client(address)).unwrap();
        prop_assert!(
            then == home
                || (then == gone && weight > before)
                || (home == gone && weight < before)
        );
    }
}
