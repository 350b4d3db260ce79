//! The keeper over devices that are prompt, stand still, fail and lie.

use std::time::Duration;

use drivers::{DiskFault, RingFault};
use kernel::store::{Found, Keeper, Outcome, Ticket, Trouble};
use lb::Instant;

use super::commit;
use super::platter::{Device, Manner};

/// A keeper, its device and the time.
struct Desk {
    device: Device,
    keeper: Keeper,
    now: Instant,
}

impl Desk {
    fn new(change: impl FnOnce(&Device)) -> (Desk, Result<Found, Trouble>) {
        let device = Device::default();
        change(&device);
        let mut now = Instant::START;
        let clock = || {
            now = now + Duration::from_millis(1);
            now
        };
        let (keeper, found) = Keeper::open(Box::new(device.clone()), "", clock);
        (Desk { device, keeper, now }, found)
    }

    fn ready() -> Desk {
        let (desk, found) = Desk::new(|_| {});
        assert_eq!(found, Ok(Found::default()));
        desk
    }

    fn save(&mut self, generation: u64) -> Ticket {
        self.keeper.save(commit(generation), self.now).expect("there is a disk")
    }

    /// Turns of the loop, a millisecond each.
    fn pass(&mut self, ms: u64) {
        for _ in 0..ms {
            self.now = self.now + Duration::from_millis(1);
            self.keeper.poll(self.now);
        }
    }

    /// Generations on the disk, newest first.
    fn kept(&self) -> Vec<u64> {
        let (_, found) = self.device.platter().open();
        found.commits.iter().map(|commit| commit.generation).collect()
    }
}

#[test]
fn a_commit_is_saved_and_said_to_be_only_then() {
    let mut desk = Desk::ready();
    assert_eq!(desk.keeper.generation(), None);
    let ticket = desk.save(1);
    let mut turns = 0;
    while ticket.outcome() == Outcome::Waiting {
        assert_eq!((desk.keeper.generation(), desk.keeper.is_saving()), (None, true));
        desk.pass(1);
        turns += 1;
    }
    assert_eq!(ticket.outcome(), Outcome::Saved { generation: 1 });
    assert_eq!((desk.kept(), desk.keeper.generation()), (vec![1], Some(1)));
    assert_eq!((desk.keeper.newest(), desk.keeper.is_saving()), (Some(1), false));
    assert_eq!(turns, 7, "three writes, three flushes, and one to begin");
    let before = desk.device.0.borrow().requests;
    desk.pass(100);
    assert_eq!(desk.device.0.borrow().requests, before, "then the disk is left alone");
}

#[test]
fn commits_are_saved_in_turn_and_only_so_many_wait() {
    let mut desk = Desk::ready();
    let first = desk.save(1);
    desk.pass(2);
    let tickets: Vec<Ticket> = (2..=6).map(|generation| desk.save(generation)).collect();
    let busy = Outcome::NotSaved(Trouble::Busy);
    assert_eq!(tickets[4].outcome(), busy, "four may wait");
    desk.pass(40);
    assert_eq!(first.outcome(), Outcome::Saved { generation: 1 });
    let outcomes: Vec<Outcome> = tickets[..4].iter().map(Ticket::outcome).collect();
    let expected = (2..=5).map(|generation| Outcome::Saved { generation });
    assert_eq!(outcomes, expected.collect::<Vec<_>>());
    assert_eq!(desk.kept(), [5, 4, 3, 2, 1]);
}

#[test]
fn without_a_disk_that_is_what_is_said() {
    let mut keeper = Keeper::without(None);
    assert!(keeper.save(commit(1), Instant::START).is_none());
    keeper.poll(Instant::START);
    let mut keeper = Keeper::without(Some(Trouble::NotOurs));
    let outcome = keeper.save(commit(1), Instant::START).map(|ticket| ticket.outcome());
    assert_eq!(outcome, Some(Outcome::NotSaved(Trouble::NotOurs)));
    assert_eq!((keeper.newest(), keeper.is_saving()), (None, false));
}

#[test]
fn a_read_only_disk_is_read() {
    let mut desk = Desk::ready();
    desk.save(1);
    desk.pass(20);
    let platter = desk.device.platter();
    let (mut desk, found) = Desk::new(|device| {
        device.set(|inside| (inside.platter, inside.read_only) = (platter, true));
    });
    assert_eq!(found.unwrap().commits, [commit(1)]);
    assert_eq!(desk.save(2).outcome(), Outcome::NotSaved(Trouble::ReadOnly));
    desk.pass(20);
    assert_eq!(desk.kept(), [1]);
}

#[test]
fn a_disk_that_stands_still_is_waited_for_no_longer_than_is_said() {
    let mut desk = Desk::ready();
    let saved = desk.save(1);
    desk.pass(20);
    desk.device.set(|inside| inside.manner = Manner::Still);
    let stalled = desk.save(2);
    desk.pass(5_000);
    let later = desk.save(3);
    desk.pass(4_990);
    assert_eq!((stalled.outcome(), later.outcome()), (Outcome::Waiting, Outcome::Waiting));
    desk.pass(20);
    let still = Outcome::NotSaved(Trouble::Stalled { seconds: 10 });
    assert_eq!((stalled.outcome(), later.outcome()), (still.clone(), still.clone()));
    assert_eq!(saved.outcome(), Outcome::Saved { generation: 1 });

    let in_vain = desk.save(4);
    desk.pass(9_990);
    assert_eq!(in_vain.outcome(), Outcome::Waiting, "a patience of its own");
    desk.pass(20);
    assert_eq!(in_vain.outcome(), still);

    desk.device.set(|inside| inside.manner = Manner::Prompt);
    let at_last = desk.save(5);
    desk.pass(20);
    assert_eq!(at_last.outcome(), Outcome::Saved { generation: 5 });
    assert_eq!(desk.kept()[0], 5);
    assert_eq!(desk.kept().last(), Some(&1));
}

#[test]
fn a_disk_that_is_still_at_the_start_is_read_when_it_answers() {
    let mut desk = Desk::ready();
    desk.save(1);
    desk.pass(20);
    let platter = desk.device.platter();
    let (mut desk, found) = Desk::new(|device| {
        device.set(|inside| (inside.platter, inside.manner) = (platter, Manner::Still));
    });
    assert_eq!(found, Err(Trouble::Stalled { seconds: 5 }));
    desk.pass(3_000);
    let still = Outcome::NotSaved(Trouble::Stalled { seconds: 8 });
    assert_eq!((desk.save(1).outcome(), desk.keeper.newest()), (still, None));
    desk.device.set(|inside| inside.manner = Manner::Prompt);
    desk.pass(60);
    assert_eq!((desk.kept(), desk.keeper.newest()), (vec![1], Some(1)), "what was there");
    let ticket = desk.save(1);
    desk.pass(20);
    assert_eq!(ticket.outcome(), Outcome::Saved { generation: 2 }, "1 is there already");
    assert_eq!(desk.kept(), [2, 1]);
}

#[test]
fn an_error_costs_one_commit() {
    for request in 0..6 {
        let mut desk = Desk::ready();
        let ticket = desk.save(1);
        desk.pass(1 + request);
        desk.device.set(|inside| inside.manner = Manner::Fails(1));
        desk.pass(1);
        let fault = Trouble::Fault(DiskFault::Refused { status: 1 });
        assert_eq!(ticket.outcome(), Outcome::NotSaved(fault), "request {request}");
        let next = desk.save(2);
        desk.pass(20);
        assert_eq!(next.outcome(), Outcome::Saved { generation: 2 }, "request {request}");
        assert_eq!(desk.kept()[0], 2, "request {request}");
    }
}

#[test]
fn a_disk_that_lies_is_not_asked_again() {
    let mut desk = Desk::ready();
    let (first, second) = (desk.save(1), desk.save(2));
    desk.pass(3);
    desk.device.set(|inside| inside.manner = Manner::Lies);
    desk.pass(1);
    let fault = Outcome::NotSaved(Trouble::Fault(DiskFault::Ring(RingFault::UsedId)));
    assert_eq!((first.outcome(), second.outcome()), (fault.clone(), fault.clone()));
    desk.device.set(|inside| inside.manner = Manner::Prompt);
    let requests = desk.device.0.borrow().requests;
    assert_eq!(desk.save(3).outcome(), fault);
    desk.pass(100);
    assert_eq!(desk.device.0.borrow().requests, requests);
}

#[test]
fn a_disk_that_cannot_be_read_is_not_written_to() {
    let (mut desk, found) = Desk::new(|device| device.set(|it| it.manner = Manner::Fails(1)));
    let fault = Trouble::Fault(DiskFault::Refused { status: 1 });
    assert_eq!(found, Err(fault.clone()));
    assert_eq!(desk.save(1).outcome(), Outcome::NotSaved(fault));
    desk.pass(50);
    assert_eq!(desk.device.platter().used(), 0);
}
