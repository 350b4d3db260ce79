//! What is committed outlives the machine: a reset, a power cut at any moment, a damaged disk.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tests::{Dice, DiskFile, Machine, Setup};

/// A machine with this disk, and a program at its console.
fn boot(disk: &DiskFile) -> Machine {
    let machine =
        Machine::start(Setup { ports: 1, disk: Some(disk.path.clone()), ..Setup::default() });
    await_program(&machine);
    machine
}

fn await_program(machine: &Machine) {
    machine.console.wait_for("> ");
    machine.console.script_mode();
    machine.console.command("configure");
}

/// Commits a host name and waits for the disk; what was said.
fn commit(machine: &Machine, hostname: &str) -> String {
    machine.console.command(&format!("set system hostname {hostname}"));
    machine.console.command("commit")
}

/// The running configuration's only line.
fn hostname(machine: &Machine) -> String {
    let shown = machine.console.command("show configuration");
    shown.trim_end().trim_start_matches("set system hostname ").to_string()
}

fn generations(disk: &DiskFile) -> Vec<u64> {
    disk.found().commits.iter().map(|commit| commit.generation).collect()
}

#[test]
fn a_commit_is_there_after_a_reset_and_in_another_machine() {
    let disk = DiskFile::blank();
    let machine = boot(&disk);
    for (generation, hostname) in [(1, "first"), (2, "second")] {
        let said = commit(&machine, hostname);
        let expected =
            format!("Generation {generation} runs.\nSaved as generation {generation}.\n");
        assert_eq!(said, expected);
    }
    machine.qmp.reset();
    await_program(&machine);
    let startup = machine.console.command("show configuration startup");
    assert_eq!(startup, "# from the disk, generation 2\nset system hostname second\n");
    machine.console.command("rollback 1");
    assert!(machine.console.command("commit").contains("Saved as generation 3."));
    drop(machine);

    let machine = boot(&disk);
    assert_eq!(hostname(&machine), "first");
    let commits = machine.console.command("show commits");
    let column = |row: &str| row.split_whitespace().nth(1).map(str::to_string);
    let listed: Vec<_> = commits.lines().skip(1).filter_map(column).collect();
    assert_eq!(listed, ["3", "2", "1", "0"], "{commits}");
    assert_eq!(generations(&disk), [3, 2, 1]);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_secs();
    let times: Vec<u64> = disk.found().commits.iter().filter_map(|commit| commit.time).collect();
    assert_eq!(times.len(), 3);
    let day = 24 * 3600;
    assert!(times.iter().all(|time| (now - day..now + day).contains(time)), "{times:?}, {now}");
}

#[test]
fn after_a_damaged_commit_the_one_before_it_runs_and_the_next_is_saved() {
    let disk = DiskFile::blank();
    let machine = boot(&disk);
    for hostname in ["first", "second", "third"] {
        commit(&machine, hostname);
    }
    drop(machine);
    disk.write(DiskFile::slot_at(2) + 430, b"X");
    let machine = boot(&disk);
    let startup = machine.console.command("show configuration startup");
    let expected = "# E510 generation 3 in slot 2 is not taken: it is damaged (bad checksum)\n\
                    # from the disk, generation 2\nset system hostname second\n";
    assert_eq!(startup, expected);
    let said = commit(&machine, "fourth");
    assert!(said.contains("Saved as generation 4."), "{said}");
    drop(machine);
    assert_eq!(generations(&disk), [4, 2, 1]);
    assert_eq!(hostname(&boot(&disk)), "fourth");
}

/// Commits follow one another, and the power goes at some moment. What was said to be saved is there;
/// what was on its way is there whole, or not at all.
#[test]
fn c19_a_power_cut_in_a_series_of_commits_leaves_one_of_the_last_two() {
    const CUTS: usize = 6;
    const SERIES_MS: usize = 400;
    let (mut dice, disk) = (Dice(0x5eed), DiskFile::blank());
    let (mut saved, mut tried) = (0, 0);
    for cut in 0..CUTS {
        let machine = boot(&disk);
        let found = number(&machine);
        assert!(found == saved || found == tried, "cut {cut}: {found}, not {saved} or {tried}");
        saved = found;
        let end = Instant::now() + Duration::from_millis(dice.roll(SERIES_MS) as u64);
        let says = |words| {
            let left = end.saturating_duration_since(Instant::now());
            machine.console.says_within(left, words)
        };
        loop {
            tried += 1;
            machine.console.press(&format!("set system hostname h{tried}\rcommit\r"));
            if !["% OK\r\n", "Saved as generation", "% OK\r\n"].into_iter().all(says) {
                break;
            }
            saved = tried;
        }
    }
    let found = number(&boot(&disk));
    assert!(found == saved || found == tried, "{found}, not {saved} or {tried}");
    assert!(found > 0, "some commit was saved before a cut");
}

/// Which commit of a series runs; 0: none yet.
fn number(machine: &Machine) -> usize {
    hostname(machine).strip_prefix('h').map_or(0, |number| number.parse().expect("a number"))
}

#[test]
fn a_commit_on_trial_reaches_the_disk_when_it_is_confirmed() {
    let disk = DiskFile::blank();
    let machine = boot(&disk);
    commit(&machine, "before");
    let as_committed = disk.bytes();
    machine.console.command("set system hostname trial");
    let said = machine.console.command("commit confirmed 1s");
    assert!(said.starts_with("On trial for 1 seconds"), "{said}");
    machine.console.command_until("show log", |log| log.contains("taken back"));
    assert_eq!(hostname(&machine), "before");
    assert!(disk.bytes() == as_committed, "neither the trial nor its end is saved");

    machine.console.command("commit confirmed 10m");
    assert_eq!(hostname(&machine), "trial");
    assert!(disk.bytes() == as_committed);
    drop(machine);
    let machine = boot(&disk);
    assert_eq!(hostname(&machine), "before", "a restart ends the trial");

    machine.console.command("set system hostname trial");
    machine.console.command("commit confirmed 10m comment tried");
    let said = machine.console.command("confirm");
    assert_eq!(said, "Generation 2 runs.\nSaved as generation 2.\n");
    drop(machine);
    assert_eq!(hostname(&boot(&disk)), "trial");
    assert_eq!(disk.found().commits[0].comment, "tried");
}
