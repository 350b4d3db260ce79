//! The power goes at any byte of any save: what was said to be saved is there.

use kernel::store::{Commit, State};

use super::commit;
use super::platter::{Event, Platter, SECTOR_BYTES, events};

/// What must be found on a disk after the power was cut while `next` was being saved.
struct Expected<'a> {
    saved: &'a [Commit],
    next: &'a Commit,
}

impl Expected<'_> {
    /// The newest is the last that was said to be saved, or the one that was being saved; those before
    /// it are there as well, but for the one whose slot was taken; and the disk goes on working.
    #[track_caller]
    fn assert_found(&self, platter: &Platter, when: &str) {
        let (mut state, found) = platter.open();
        let all: Vec<&Commit> = self.saved.iter().chain([self.next]).rev().collect();
        let is_through = found.commits.first() == Some(self.next);
        let newest = &all[usize::from(!is_through)..];
        let kept = newest.len().min(found.commits.len());
        let same = found.commits.iter().zip(newest).all(|(found, wanted)| found == *wanted);
        assert!(same, "{when}: {:?}", generations(&found.commits));
        assert!(kept == newest.len() || kept >= 19, "{when}: {kept} of {}", newest.len());

        let mut platter = platter.clone();
        let after = Commit { generation: self.next.generation + 1, ..commit(0) };
        let generation = platter.save(&mut state, &after, "");
        let (_, found) = platter.open();
        assert!(found.commits[0] == Commit { generation, ..after }, "{when}");
        // A commit whose slot was whole is one of the older ones from now on.
        let before = found.commits.get(1);
        assert!(before == newest.first().copied() || before == Some(self.next), "{when}");
    }
}

fn generations(commits: &[Commit]) -> Vec<u64> {
    commits.iter().map(|commit| commit.generation).collect()
}

/// Every state that a cut during these events may leave: after each sector, and inside of each, after
/// every byte that changes something. `stride` leaves out bytes of long texts.
fn cuts(before: &Platter, events: &[Event], stride: usize, mut look: impl FnMut(&Platter, &str)) {
    let mut platter = before.clone();
    look(&platter, "before anything");
    for (number, event) in events.iter().enumerate() {
        let Event::Sector { at, bytes } = event else {
            continue;
        };
        let old = platter.sector(*at);
        for torn in
            (1..SECTOR_BYTES).step_by(stride).filter(|&torn| old[torn - 1] != bytes[torn - 1])
        {
            let mut sector = old;
            sector[..torn].copy_from_slice(&bytes[..torn]);
            let mut platter = platter.clone();
            platter.put(*at, sector);
            look(&platter, &format!("event {number}, byte {torn} of sector {at}"));
        }
        platter.take(event);
        look(&platter, &format!("event {number}, after sector {at}"));
    }
}

/// A cache may write in any order and lose anything since the last flush.
fn losses(before: &Platter, events: &[Event], seed: u64, mut look: impl FnMut(&Platter, &str)) {
    let mut random = seed | 1;
    let mut dice = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random >> 20) as usize
    };
    for round in 0..100 {
        let cut = dice() % (events.len() + 1);
        let flushed = events[..cut].iter().rposition(|event| matches!(event, Event::Flush));
        let (safe, cached) = events[..cut].split_at(flushed.unwrap_or(0));
        let mut platter = before.clone();
        safe.iter().for_each(|event| platter.take(event));
        cached.iter().filter(|_| dice() % 2 == 0).for_each(|event| platter.take(event));
        look(&platter, &format!("round {round}, cut at event {cut}"));
    }
}

#[test]
fn c19_a_cut_at_any_byte_leaves_what_was_saved() {
    let mut platter = Platter::default();
    let (mut state, found) = platter.open();
    assert_eq!(found.commits, []);
    let mut saved: Vec<Commit> = Vec::new();
    let mut looked = 0;
    for generation in 1..=24 {
        let next = commit(generation);
        let mut saving = State::save(&mut state, &next, "").unwrap();
        let events = events(&mut saving);
        // All bytes of the first commits, and of those that take slots over.
        let stride = if generation <= 3 || generation >= 21 { 1 } else { 97 };
        let expected = Expected { saved: &saved, next: &next };
        let mut look = |platter: &Platter, when: &str| {
            looked += 1;
            expected.assert_found(platter, &format!("commit {generation}, {when}"));
        };
        cuts(&platter, &events, stride, &mut look);
        losses(&platter, &events, generation, &mut look);
        events.iter().for_each(|event| platter.take(event));
        assert_eq!(state.saved(&saving), generation);
        saved.push(next);
    }
    assert!(looked > 4_000, "{looked} cuts");
    let (_, found) = platter.open();
    let newest: Vec<Commit> = saved.into_iter().rev().take(20).collect();
    assert_eq!(generations(&found.commits), generations(&newest));
    assert!((found.commits, found.passed) == (newest, vec![]));
}

/// A text of many requests, cut here and there.
#[test]
fn a_cut_in_a_long_text_leaves_what_was_saved() {
    let mut platter = Platter::default();
    let (mut state, _) = platter.open();
    let short = commit(1);
    platter.save(&mut state, &short, "");
    let long = Commit { text: "set system hostname long # \n".repeat(3_000), ..commit(2) };
    let mut saving = state.save(&long, "").unwrap();
    let expected = Expected { saved: &[short], next: &long };
    cuts(&platter, &events(&mut saving), 509, |platter, when| expected.assert_found(platter, when));
}

/// Many saves in a row that come to nothing: each was cut after its slot was whole.
#[test]
fn saves_that_are_never_finished_push_out_nothing_that_counts() {
    let mut platter = Platter::default();
    let (mut state, _) = platter.open();
    platter.save(&mut state, &commit(1), "");
    for generation in 2..60 {
        let mut saving = state.save(&commit(generation), "").unwrap();
        let events = events(&mut saving);
        let flushed = events.iter().position(|event| matches!(event, Event::Flush)).unwrap();
        events[..flushed].iter().for_each(|event| platter.take(event));
        let (_, found) = platter.open();
        assert!(found.commits == [commit(1)], "after {generation}");
        if generation % 7 == 0 {
            // A restart on the way.
            state = platter.open().0;
        }
    }
}
