//! Disks that are damaged, newer, another host's or somebody else's.

use drivers::disk::BLOCK_BYTES;
use kernel::store::{
    COMMENT_BYTES_MAX, Commit, DISK_BYTES_MIN, Damage, Found, Opening, Passed, State,
    TEXT_BYTES_MAX, Trouble,
};

use super::commit;
use super::platter::{BLOCKS, Platter, SECTOR_BYTES};

/// Where the slot with this number begins, and the superblocks.
const fn slot(number: u64) -> u64 {
    1 + 100 * number
}
const SUPERBLOCKS: [u64; 2] = [0, 2001];

/// A disk with commits 1 to `count`, in slots 0, 1, 2 …
fn disk(count: u64) -> (Platter, State) {
    let mut platter = Platter::default();
    let (mut state, _) = platter.open();
    for generation in 1..=count {
        assert_eq!(platter.save(&mut state, &commit(generation), ""), generation);
    }
    (platter, state)
}

/// Generations that are found, newest first.
fn generations(found: &Found) -> Vec<u64> {
    found.commits.iter().map(|commit| commit.generation).collect()
}

#[test]
fn a_blank_disk_is_not_written_to_before_the_first_commit() {
    let platter = Platter::default();
    let (mut state, found) = platter.open();
    assert_eq!((found, platter.used()), (Found::default(), 0));
    let mut platter = platter;
    platter.save(&mut state, &commit(1), "");
    let (_, found) = platter.open();
    assert_eq!(found, Found { commits: vec![commit(1)], passed: vec![] });
    assert_eq!(platter.used(), 3, "two superblocks and a slot's only sector");
}

#[test]
fn every_part_of_a_commit_comes_back() {
    let mut platter = Platter::default();
    let (mut state, _) = platter.open();
    let long = Commit {
        generation: 7,
        text: "ä".repeat(TEXT_BYTES_MAX / 2),
        comment: "é".repeat(COMMENT_BYTES_MAX),
        time: None,
    };
    let bare = Commit { generation: 9, text: String::new(), comment: String::new(), time: None };
    assert_eq!(platter.save(&mut state, &long, &"h".repeat(100)), 7);
    assert_eq!(platter.save(&mut state, &bare, ""), 9);
    let (_, found) = platter.open();
    let comment = "é".repeat(COMMENT_BYTES_MAX / 2);
    assert!(found.commits == [bare, Commit { comment, ..long }], "{:?}", generations(&found));
    assert_eq!(found.passed, []);
}

#[test]
fn a_text_that_is_longer_than_a_slot_is_refused() {
    let (_, mut state) = disk(0);
    let bytes = TEXT_BYTES_MAX + 1;
    let long = Commit { text: "x".repeat(bytes), ..commit(1) };
    let refused = state.save(&long, "").err();
    assert_eq!(refused, Some(Trouble::TooLong { bytes }));
}

/// Whatever byte of the newest slot is not what it was, it is named and the one before it is taken.
#[test]
fn c20_a_damaged_slot_is_named_and_passed_over() {
    let (whole, _) = disk(3);
    let text_ends = 424 + commit(3).text.len();
    for byte in (0..text_ends).filter(|byte| byte % 7 == 0 || *byte < 48) {
        let mut platter = whole.clone();
        platter.flip(slot(2), byte);
        let (_, found) = platter.open();
        assert_eq!(generations(&found), [2, 1], "byte {byte}");
        assert_eq!(found.passed.len(), 1, "byte {byte}");
        let Passed { slot, generation, damage } = &found.passed[0];
        assert_eq!(*slot, 2, "byte {byte}");
        assert_eq!(*generation, Some(3), "byte {byte}");
        let is_version = (8..12).contains(&byte);
        let is_named = match damage {
            Damage::Checksum => !is_version,
            Damage::Newer { .. } => is_version,
            Damage::Unfinished | Damage::OtherHost { .. } => false,
        };
        assert!(is_named, "byte {byte}: {damage:?}");
    }
}

#[test]
fn a_damaged_superblock_costs_nothing_but_the_last_commit() {
    let (whole, _) = disk(3);
    for (which, newest) in [(0, 3), (1, 2)] {
        let mut platter = whole.clone();
        platter.flip(SUPERBLOCKS[which], 20);
        let (_, found) = platter.open();
        assert_eq!(found.commits[0].generation, newest, "superblock {which}");
    }
    let mut platter = whole.clone();
    SUPERBLOCKS.iter().for_each(|&block| platter.flip(block, 20));
    let (mut state, found) = platter.open();
    assert_eq!((generations(&found), &found.passed[..]), (vec![3, 2, 1], &[][..]), "both");
    assert_eq!(platter.save(&mut state, &commit(4), ""), 4);
    assert_eq!(generations(&platter.open().1), [4, 3, 2, 1], "and it is repaired");
}

#[test]
fn c20_a_slot_of_a_later_version_is_named_and_kept() {
    let (mut platter, _) = disk(3);
    let mut block = platter.read(slot(2), 1);
    block[8] = 2;
    platter.write(slot(2), &block);
    let (mut state, found) = platter.open();
    assert_eq!(generations(&found), [2, 1]);
    let damage = Damage::Newer { version: 2 };
    assert_eq!(found.passed, [Passed { slot: 2, generation: Some(3), damage }]);
    for generation in 4..=20 {
        platter.save(&mut state, &commit(generation), "");
    }
    assert_eq!(platter.open().1.passed, found.passed, "it is overwritten when it is the oldest");
}

#[test]
fn c20_a_disk_of_a_later_version_is_left_alone() {
    let (mut platter, _) = disk(3);
    let mut block = platter.read(SUPERBLOCKS[1], 1);
    block[8] = 9;
    platter.write(SUPERBLOCKS[1], &block);
    assert_eq!(platter.open_for("").err(), Some(Trouble::NewerDisk { version: 9 }));
}

#[test]
fn c20_a_slot_of_another_host_is_named_and_passed_over() {
    let (mut platter, mut state) = disk(1);
    platter.save(&mut state, &commit(2), "rack1");
    platter.save(&mut state, &commit(3), "rack2");
    type Case<'a> = (&'a str, &'a [u64], &'a [(usize, u64, &'a str)]);
    let cases: [Case; 4] = [
        ("", &[3, 2, 1], &[]),
        ("rack1", &[2, 1], &[(2, 3, "rack2")]),
        ("rack2", &[3, 1], &[(1, 2, "rack1")]),
        ("rack3", &[1], &[(2, 3, "rack2"), (1, 2, "rack1")]),
    ];
    for (host, expected, others) in cases {
        let (_, found) = platter.open_for(host).unwrap();
        let others = others.iter().map(|&(slot, generation, host)| {
            let damage = Damage::OtherHost { host: host.into() };
            Passed { slot, generation: Some(generation), damage }
        });
        assert_eq!(generations(&found), expected, "{host}");
        assert_eq!(found.passed, others.collect::<Vec<_>>(), "{host}");
    }
}

/// Something anywhere in our area makes a disk somebody's; behind it nothing does.
#[test]
fn a_disk_with_something_else_on_it_is_left_alone() {
    let places = [
        (0, 0, "a boot sector"),
        (0, 1080, "ext4"),
        (0, 4086, "swap"),
        (16, 64, "btrfs"),
        (1000, 9, "anything in the middle"),
        (2001, 4095, "the last byte"),
    ];
    for (block, byte, what) in places {
        let mut platter = Platter::default();
        platter.flip(block, byte);
        assert_eq!(platter.open_for("").err(), Some(Trouble::NotOurs), "{what}");
    }
    let mut platter = Platter::default();
    platter.flip(2002, 0);
    assert_eq!(platter.open().1, Found::default());
}

#[test]
fn a_disk_that_is_too_small_is_not_used() {
    let bytes = DISK_BYTES_MIN - BLOCK_BYTES as u64;
    assert_eq!(Opening::new(BLOCKS - 1).err(), Some(Trouble::TooSmall { bytes }));
    assert!(Opening::new(u64::MAX).is_ok());
}

/// Twenty of the longest texts: the newest are read, and the memory is not filled.
#[test]
fn long_texts_are_read_up_to_a_bound() {
    let mut platter = Platter::default();
    let (mut state, _) = platter.open();
    for generation in 1..=20 {
        let text = "x".repeat(TEXT_BYTES_MAX - generation as usize);
        platter.save(&mut state, &Commit { text, ..commit(generation) }, "");
    }
    let (mut state, found) = platter.open();
    assert_eq!(generations(&found), [20, 19, 18, 17, 16]);
    assert_eq!(found.passed, []);
    platter.save(&mut state, &commit(21), "");
    assert_eq!(generations(&platter.open().1), [21, 20, 19, 18, 17, 16], "the oldest gave way");
}

/// Noise in all places that are looked at: nothing is believed, and nothing panics.
#[test]
fn noise_is_nobodys_commit() {
    let mut random = 1_u64;
    let mut byte = || {
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 40) as u8
    };
    for round in 0..60 {
        let (mut platter, _) = disk(2);
        for at in (0..20).map(slot).chain(SUPERBLOCKS) {
            let mut block = platter.read(at, 1);
            // The magic stays in some rounds, so that what follows it is looked at.
            let from = [0, 8, 12][round % 3];
            let is_hit = byte() % 3 > 0;
            let noisy = block[from..SECTOR_BYTES].iter_mut().filter(|_| is_hit);
            noisy.for_each(|old| *old = byte());
            platter.write(at, &block);
        }
        if let Ok((_, found)) = platter.open_for("") {
            let is_ours = |found: &Commit| *found == commit(found.generation);
            assert!(found.commits.iter().all(is_ours), "round {round}");
        }
    }
}
