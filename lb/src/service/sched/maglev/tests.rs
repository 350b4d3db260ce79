//! The table against the paper's own words, done slowly; its balance and what moves when members
//! change, counted over all slots.

use proptest::prelude::*;
use std::format;
use std::vec;
use std::vec::Vec;

use super::*;

/// `web0`, `web1` …, in the order of the numbers, which stands for that of the names.
fn members(weights: &[u16]) -> Members {
    let real = |(at, &weight): (usize, &u16)| Member {
        real: RealId(at as u16),
        name: NameHash::of(&format!("web{at}").parse().unwrap()),
        weight,
    };
    weights.iter().enumerate().filter(|(_, weight)| **weight > 0).map(real).collect()
}

fn built(members: Members, slice: usize) -> Table {
    let mut builder = Builder::try_new().unwrap();
    builder.begin(&members);
    while !builder.step(slice) {}
    builder.table
}

/// Who has each slot.
fn owners(table: &Table) -> Vec<u16> {
    table.slots.iter().map(|&at| table.members[usize::from(at)].real.0).collect()
}

fn share(owners: &[u16], real: usize) -> usize {
    owners.iter().filter(|&&owner| usize::from(owner) == real).count()
}

/// Pseudocode 1 of the paper with whole permutations, and the rule for weights as a formula.
fn model(members: &[Member]) -> Vec<u16> {
    let permutation = |member: &Member| -> Vec<usize> {
        let offset = member.name.derive(1) as usize % SLOTS;
        let skip = member.name.derive(2) as usize % (SLOTS - 1) + 1;
        (0..SLOTS).map(|j| (offset + j * skip) % SLOTS).collect()
    };
    let permutations: Vec<_> = members.iter().map(permutation).collect();
    let heaviest = members.iter().map(|member| usize::from(member.weight)).max().unwrap();
    let mut slots: Vec<Option<u16>> = vec![None; SLOTS];
    let mut taken = vec![0; members.len()];
    let mut next = vec![0; members.len()];
    let mut filled = 0;
    for round in 1.. {
        for (i, member) in members.iter().enumerate() {
            if taken[i] == (round * usize::from(member.weight)).div_ceil(heaviest) {
                continue;
            }
            while slots[permutations[i][next[i]]].is_some() {
                next[i] += 1;
            }
            slots[permutations[i][next[i]]] = Some(member.real.0);
            taken[i] += 1;
            filled += 1;
            if filled == SLOTS {
                return slots.into_iter().flatten().collect();
            }
        }
    }
    unreachable!()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    /// Whatever the weights and the slices, it is the table of the model, and every share is right.
    #[test]
    fn the_table_is_that_of_the_paper(
        weights in proptest::collection::vec(1..=1000u16, 1..12),
        slice in 1..100_000usize,
    ) {
        let members = members(&weights);
        let owners = owners(&built(members.clone(), slice));
        prop_assert_eq!(&owners, &model(&members));
        let sum: usize = weights.iter().copied().map(usize::from).sum();
        for (at, &weight) in weights.iter().enumerate() {
            let due = SLOTS * usize::from(weight) / sum;
            prop_assert!(share(&owners, at).abs_diff(due) <= weights.len() + 1);
        }
    }
}

#[test]
fn equal_members_have_equal_shares_to_a_slot() {
    for count in [1, 2, 3, 10, 64] {
        let owners = owners(&built(members(&vec![100; count]), 1 << 20));
        for at in 0..count {
            assert!((SLOTS / count..=SLOTS / count + 1).contains(&share(&owners, at)), "{count}");
        }
    }
}

/// Of the slots that were not this member's, those that changed hands, in 10,000.
fn moved(before: &[u16], after: &[u16], gone: usize) -> usize {
    let others = || before.iter().zip(after).filter(|(old, _)| usize::from(**old) != gone);
    others().filter(|(old, new)| old != new).count() * 10_000 / others().count()
}

#[test]
fn one_that_goes_moves_hardly_a_slot_of_the_others() {
    for count in [2, 3, 4, 8, 16, 32, 64] {
        let cases: [(&str, Vec<u16>); 3] = [
            ("equal", vec![100; count]),
            ("in steps", (1..=count).map(|at| at as u16 * 10).collect()),
            ("one heavy", (0..count).map(|at| if at == 0 { 1000 } else { 100 }).collect()),
        ];
        for (what, weights) in cases {
            let before = owners(&built(members(&weights), 1 << 20));
            for gone in [0, count / 2, count - 1] {
                let mut without = weights.clone();
                without[gone] = 0;
                let after = owners(&built(members(&without), 1 << 20));
                let moved = moved(&before, &after, gone);
                assert!(moved <= 100, "{count} {what}, {gone} goes: {moved} in 10,000");
            }
        }
    }
}

#[test]
fn a_greater_weight_moves_slots_to_its_member_and_few_besides() {
    let before = owners(&built(members(&[100; 10]), 1 << 20));
    let mut weights = [100; 10];
    weights[4] = 200;
    let after = owners(&built(members(&weights), 1 << 20));
    let changed = || before.iter().zip(&after).filter(|(old, new)| old != new);
    let elsewhere = changed().filter(|(_, new)| **new != 4).count();
    assert!(share(&after, 4).abs_diff(SLOTS * 2 / 11) <= 2, "{}", share(&after, 4));
    assert!(elsewhere * 100 / SLOTS < 2, "{elsewhere}");
}

#[test]
fn without_members_nobody_is_found() {
    let table = built(Members::new(), 1);
    assert_eq!(table.find(FlowHash::of_client([10, 0, 0, 1].into())), None);
}
