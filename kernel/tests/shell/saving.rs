//! What is committed is on the disk: what the console says of that, and what the next start has of it.

use std::time::Duration;

use kernel::start::StartedFrom;

use super::desk::Bench;
use super::plate::{Manner, Plate};

/// A machine with this disk starts; a program sits at its console, in configuration mode.
fn start(disk: &Plate) -> Bench {
    start_at(disk, None)
}

/// The same at this time, in seconds since 1970.
fn start_at(disk: &Plate, began: Option<u64>) -> Bench {
    let mut bench = Bench::new(2);
    disk.start(&mut bench, began);
    bench.type_in(b"terminal script on\nconfigure\n");
    bench
}

fn say(bench: &mut Bench, line: &str) -> String {
    bench.type_in(format!("{line}\n").as_bytes()).replace("\r\n", "\n")
}

/// Commits a host name; what is said of that.
fn commit(bench: &mut Bench, hostname: &str) -> String {
    say(bench, &format!("set system hostname {hostname}"));
    say(bench, &format!("commit comment {hostname}"))
}

fn hostname(bench: &Bench) -> Option<&str> {
    bench.control.config().hostname.as_ref().map(|name| name.as_str())
}

/// Generation and comment of the archive's commits, newest first.
fn archived(bench: &Bench) -> Vec<(u64, &str)> {
    let commits = bench.control.archive().commits();
    commits.map(|commit| (commit.generation, commit.comment.as_deref().unwrap_or(""))).collect()
}

fn saved(generation: u64) -> String {
    format!("Generation {generation} runs.\nSaved as generation {generation}.\n% OK\n")
}

#[test]
fn a_commit_is_done_when_the_disk_has_it() {
    let disk = Plate::blank();
    let mut bench = start(&disk);
    assert_eq!(bench.control.saved_generation(), None);
    assert_eq!(commit(&mut bench, "one"), saved(1));
    assert_eq!((disk.generations(), bench.control.saved_generation()), (vec![1], Some(1)));
    assert_eq!(commit(&mut bench, "two"), saved(2));
    assert_eq!(disk.generations(), [2, 1]);

    disk.be(Manner::Still);
    say(&mut bench, "set system hostname three");
    bench.tty.keys.extend(b"commit\nshow version\n");
    for _ in 0..50 {
        bench.console.poll(&mut bench.tty, &mut bench.control, &mut bench.appliance);
        bench.run(Duration::from_millis(10));
    }
    let said = String::from_utf8(std::mem::take(&mut bench.tty.screen)).unwrap();
    assert_eq!(said, "Generation 3 runs.\r\n", "what comes next waits");
    assert_eq!(hostname(&bench), Some("three"), "but it runs");
    assert!(bench.control.is_saving());
    disk.be(Manner::Prompt);
    let said = say(&mut bench, "");
    assert!(said.starts_with("Saved as generation 3.\n% OK\nFulcrum "), "{said}");
    assert!(!bench.control.is_saving());
}

#[test]
fn the_next_start_has_every_commit_and_goes_on_counting() {
    let disk = Plate::blank();
    let mut bench = start(&disk);
    for hostname in ["one", "two", "three"] {
        commit(&mut bench, hostname);
    }
    let mut bench = start(&disk);
    assert_eq!(hostname(&bench), Some("three"));
    let expected = [(3, "three"), (2, "two"), (1, "one"), (0, "plain switch")];
    assert_eq!(archived(&bench), expected);
    let shown = say(&mut bench, "show commits | match two");
    let row = "       1           2      -      1  two\n% OK\n";
    assert!(shown.ends_with(row), "{shown}");
    say(&mut bench, "rollback 2");
    assert_eq!(say(&mut bench, "commit"), saved(4));
    assert_eq!((hostname(&bench), disk.generations()), (Some("one"), vec![4, 3, 2, 1]));

    // A damaged commit's generation is given to no other one.
    disk.damage(3);
    let mut bench = start(&disk);
    assert_eq!((hostname(&bench), bench.control.saved_generation()), (Some("three"), None));
    assert_eq!(commit(&mut bench, "five"), saved(5));
    assert_eq!(disk.generations(), [5, 3, 2, 1]);
    let bench = start(&disk);
    assert_eq!(archived(&bench)[..2], [(5, "five"), (3, "three")]);
    assert_eq!(bench.control.started().from, StartedFrom::Disk { generation: 5 });
}

#[test]
fn what_is_not_saved_runs_and_may_be_written_later() {
    let disk = Plate::blank();
    let mut bench = start(&disk);
    commit(&mut bench, "one");
    let nothing = "There is nothing to write: a configuration is kept when it is committed.\n\
                   The disk has it: generation 1.\n% OK\n";
    assert_eq!(say(&mut bench, "write"), nothing);
    let runs = "it runs, and holds until the machine stops (write tries again)\n% FAILED\n";
    let still = format!("% E501 not saved: the disk has not answered for 10 s; {runs}");
    disk.be(Manner::Still);
    assert_eq!(commit(&mut bench, "two"), format!("Generation 2 runs.\n{still}"));
    assert_eq!((hostname(&bench), bench.control.saved_generation()), (Some("two"), None));
    assert_eq!(say(&mut bench, "write"), still);

    disk.be(Manner::Refuses);
    let said = say(&mut bench, "write");
    assert!(said.starts_with("% E502 not saved: ") && said.ends_with(runs), "{said}");
    disk.be(Manner::Prompt);
    let said = say(&mut bench, "write");
    assert!(said.starts_with("Saved as generation ") && said.ends_with(".\n% OK\n"), "{said}");
    let generation = bench.control.saved_generation().expect("it is saved");
    assert_eq!(disk.generations()[0], generation);
    assert_eq!(archived(&bench)[..2], [(generation, "two"), (1, "one")]);
    assert_eq!(hostname(&start(&disk)), Some("two"));
}

#[test]
fn a_disk_that_cannot_be_used_is_said_at_every_commit() {
    let disk = Plate::blank();
    disk.inside.borrow_mut().bytes[510] = 0x55;
    let before = disk.inside.borrow().bytes.clone();
    let mut bench = start(&disk);
    for generation in 1..3 {
        let said = commit(&mut bench, &format!("h{generation}"));
        let expected = format!("Generation {generation} runs.\n% E505 not saved: something else");
        assert!(said.starts_with(&expected) && said.ends_with("% FAILED\n"), "{said}");
    }
    assert!(disk.inside.borrow().bytes == before);
}

#[test]
fn what_the_loader_gave_may_be_written() {
    let disk = Plate::blank();
    let mut bench = start(&disk);
    bench.configure("set system hostname loader\n");
    assert_eq!(disk.generations(), [0; 0], "it is not the disk's by being started with");
    assert_eq!(say(&mut bench, "write"), "Saved as generation 1.\n% OK\n");
    let bench = start(&disk);
    assert_eq!((hostname(&bench), archived(&bench)[0]), (Some("loader"), (1, "start-up")));
}

#[test]
fn ctrl_c_ends_the_waiting_and_not_the_saving() {
    let disk = Plate::blank();
    let mut bench = start(&disk);
    bench.type_in(b"set system hostname edge\nterminal script off\n");
    disk.be(Manner::Still);
    let shown = bench.type_in(b"commit\r\x03");
    let words = "Generation 1 runs.\r\n\
                 Saving goes on; how it ends will be in the log (show log).\r\n";
    assert!(shown.contains(words) && shown.ends_with("edge(config)# "), "{shown:?}");
    assert!(bench.control.is_saving());
    disk.be(Manner::Prompt);
    bench.run(Duration::from_secs(1));
    assert_eq!(bench.control.saved_generation(), Some(1));
    assert_eq!(bench.type_in(b""), "", "nobody is told what he does not wait for");
}

#[test]
fn a_commit_on_trial_is_saved_when_it_is_confirmed() {
    let disk = Plate::blank();
    let mut bench = start(&disk);
    commit(&mut bench, "one");
    let before = disk.inside.borrow().bytes.clone();
    say(&mut bench, "set system hostname two");
    let said = say(&mut bench, "commit confirmed 60s");
    assert_eq!(said, "On trial for 60 seconds, then taken back unless you type: confirm\n% OK\n");
    let said = say(&mut bench, "write");
    assert!(said.starts_with("% E302 the last commit waits to be confirmed for 60 more"), "{said}");
    bench.run(Duration::from_secs(59));
    assert_eq!(hostname(&bench), Some("two"));
    bench.run(Duration::from_secs(2));
    assert_eq!(hostname(&bench), Some("one"));
    assert_eq!(bench.control.saved_generation(), Some(1));
    assert!(disk.inside.borrow().bytes == before, "neither the trial nor its end was saved");

    say(&mut bench, "commit confirmed 60s comment tried");
    assert_eq!(hostname(&start(&disk)), Some("one"), "a restart takes it back, too");
    assert_eq!(say(&mut bench, "confirm"), saved(2));
    let bench = start(&disk);
    assert_eq!((hostname(&bench), archived(&bench)[0]), (Some("two"), (2, "tried")));
}

#[test]
fn what_the_machine_started_with_and_why() {
    let disk = Plate::blank();
    let mut bench = start(&disk);
    let nothing = "# nothing is configured: a plain learning switch\n";
    assert_eq!(say(&mut bench, "show configuration startup"), format!("{nothing}% OK\n"));
    commit(&mut bench, "one");
    commit(&mut bench, "two");
    let next =
        |generation| format!("# the next start begins with the disk, generation {generation}\n");
    let shown = say(&mut bench, "show configuration startup");
    assert_eq!(shown, format!("{}{nothing}% OK\n", next(2)));
    let mut bench = start(&disk);
    let shown = say(&mut bench, "show configuration startup");
    assert_eq!(shown, "# from the disk, generation 2\nset system hostname two\n% OK\n");

    disk.damage(1);
    let mut bench = start(&disk);
    let passed = "# E510 generation 2 in slot 1 is not taken: it is damaged (bad checksum)\n";
    let from = "# from the disk, generation 1\n";
    let shown = say(&mut bench, "show configuration startup");
    assert_eq!(shown, format!("{passed}{from}set system hostname one\n% OK\n"));
    commit(&mut bench, "three");
    let shown = say(&mut bench, "show configuration startup");
    let next = next(3);
    assert_eq!(shown, format!("{passed}{from}{next}set system hostname one\n% OK\n"));
}

#[test]
fn how_long_ago_a_commit_was_is_known_after_a_restart() {
    const BEGAN: u64 = 1_800_000_000;
    let disk = Plate::blank();
    let mut bench = start_at(&disk, Some(BEGAN));
    bench.run(Duration::from_secs(100));
    commit(&mut bench, "one");
    let found = disk.open().1.expect("a disk of ours");
    assert_eq!(found.commits[0].time, Some(BEGAN + 100));
    let cases = [
        ("an hour later", Some(BEGAN + 3700), "1h00m"),
        ("the clock was set back", Some(BEGAN - 3600), "-"),
        ("no clock", None, "-"),
    ];
    for (what, began, ago) in cases {
        let mut bench = start_at(&disk, began);
        let shown = say(&mut bench, "show commits | match one");
        let row = shown.lines().find(|row| row.ends_with("one")).unwrap_or_default();
        assert_eq!(row.split_whitespace().nth(2), Some(ago), "{what}: {shown}");
    }
}
