//! Which of several configurations a machine starts with.

use std::borrow::Cow;

use kernel::start::{Note, Offer, Start, Started, StartedFrom, offers_of};
use kernel::store::{Commit, Trouble};

use super::desk::Bench;

const GOOD: &str = "set system hostname good\nset system capacity flows 2048\n";
const BETTER: &str = "set system hostname better\n";
const BAD: &str = "set system hostname bad\nset guest g1 port p9 mac 52:54:00:01:00:01\n";

fn commit(generation: u64, text: &str) -> Commit {
    Commit { generation, text: text.into(), comment: String::new(), time: None }
}

/// Starts a machine with these commits, newest first, and these files.
fn start(commits: &[&str], loader: Option<&str>, fw_cfg: Option<&str>) -> (Bench, Started) {
    let mut bench = Bench::new(2);
    let newest = commits.len() as u64;
    let commits: Vec<Commit> =
        (0..).zip(commits).map(|(at, text)| commit(newest - at, text)).collect();
    let file = |from, text: &'static str| Offer { from, text: Cow::Borrowed(text.as_bytes()) };
    let mut offers: Vec<Offer> = offers_of(&commits).collect();
    let leak = |text: &str| -> &'static str { text.to_string().leak() };
    offers.extend(loader.map(|text| file(StartedFrom::Loader, leak(text))));
    offers.extend(fw_cfg.map(|text| file(StartedFrom::FwCfg, leak(text))));
    let start = Start::choose(offers, Vec::new(), &bench.site);
    start.finish(&bench.site.clone(), &mut bench.control, &mut bench.appliance);
    let started = bench.control.started().clone();
    (bench, started)
}

#[test]
fn the_first_that_is_whole_is_taken() {
    let disk = |generation| StartedFrom::Disk { generation };
    type Case<'a> = (&'a [&'a str], Option<&'a str>, Option<&'a str>, StartedFrom, usize);
    let cases: [Case; 8] = [
        (&[], None, None, StartedFrom::BuiltIn, 0),
        (&[], None, Some(GOOD), StartedFrom::FwCfg, 0),
        (&[], Some(GOOD), Some(BETTER), StartedFrom::Loader, 0),
        (&[BETTER, GOOD, GOOD], Some(GOOD), None, disk(3), 0),
        (&[BAD, GOOD, BETTER], Some(BETTER), None, disk(2), 1),
        (&[BAD, BAD, GOOD], Some(GOOD), None, StartedFrom::Loader, 2),
        (&[BAD, BAD, GOOD], Some(BAD), Some(GOOD), StartedFrom::FwCfg, 3),
        (&[BAD], Some(BAD), Some(BAD), StartedFrom::BuiltIn, 3),
    ];
    for (commits, loader, fw_cfg, from, refused) in cases {
        let (bench, started) = start(commits, loader, fw_cfg);
        assert_eq!((started.from, started.notes.len()), (from, refused));
        let shown = bench.control.config().to_string();
        let expected = if from == StartedFrom::BuiltIn { 0 } else { shown.lines().count() };
        assert_eq!(started.statements, expected, "{from}");
        assert!(!shown.contains("bad") && !shown.contains("g1"), "{from}: {shown}");
    }
}

#[test]
fn the_size_of_the_flow_table_is_known_before_there_is_one() {
    let bench = Bench::new(2);
    for (text, flows) in [(GOOD, Some(2048)), (BETTER, None), (BAD, None)] {
        let offer = Offer { from: StartedFrom::Loader, text: Cow::Borrowed(text.as_bytes()) };
        let start = Start::choose(vec![offer], Vec::new(), &bench.site);
        assert_eq!(start.flows().map(|flows| flows.get()), flows, "{text}");
    }
}

#[test]
fn what_is_said_of_a_start() {
    let (_, started) = start(&[BAD, GOOD], None, None);
    let lines: Vec<String> = started.notes.iter().flat_map(Note::lines).collect();
    let expected = [
        "The configuration of the disk, generation 2 is refused:",
        "% E201 line 2, column 19: guest g1: there is no port p9 (ports: up0 p1)",
        "% E202 1 error, nothing was changed",
    ];
    assert_eq!(lines, expected);
    assert_eq!(started.to_string(), "configuration: the disk, generation 1, 2 statements");
    assert_eq!(started.from.as_str(), "disk");
    let lines = Note::Disk(Trouble::Stalled { seconds: 1 }).lines();
    assert_eq!(lines, ["% E501 the disk has not answered for 1 s"]);
    let (_, started) = start(&[], None, None);
    assert_eq!(started.to_string(), "configuration: none, this is a plain switch");
}
