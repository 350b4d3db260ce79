//! What the documentation configures holds: every configuration in README.md and docs/ is taken by a
//! machine that has the ports it speaks of.
//!
//! A block marked `fulcrum` is a whole configuration. One of bare `set` lines is a list of what may be
//! said; each line has to hold by itself, on top of two services. What README.md types at the console
//! is typed.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kernel::config::{self, Reading};

use super::desk::Bench;

/// What a line of a list is said on top of.
const BASE: &str = "\
set guest web1 port p2 mac 52:54:00:01:00:01 address 10.0.2.21 address fd00::21
set guest web2 port p3 mac 52:54:00:01:00:02 address 10.0.2.22
set service web vip 10.0.2.100 tcp 80
set service web real web1
set service dns vip 10.0.2.100 udp 53
set service dns real web2
";

struct Block {
    /// The page, and the line below which the block stands.
    place: String,
    mark: String,
    text: String,
}

/// Every fenced block of the pages.
fn blocks() -> Vec<Block> {
    let mut found = Vec::new();
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        let mut open: Option<Block> = None;
        for (at, line) in text.lines().enumerate() {
            match (line.strip_prefix("```"), &mut open) {
                (Some(_), Some(_)) => found.extend(open.take()),
                (Some(mark), None) => {
                    let place = format!("{}:{}", page.display(), at + 1);
                    open = Some(Block { place, mark: mark.into(), text: String::new() });
                }
                (None, Some(block)) => block.text.extend([line, "\n"]),
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{}: a block has no end", page.display());
    }
    found
}

fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let docs = fs::read_dir(root.join("docs")).unwrap().map(|file| file.unwrap().path());
    let is_page = |path: &PathBuf| path.extension().is_some_and(|end| end == "md");
    let mut pages: Vec<_> = docs.filter(is_page).collect();
    pages.push(root.join("README.md"));
    pages.sort();
    pages
}

/// A machine with an uplink and as many guest ports as a text speaks of.
fn machine_for(text: &str) -> Bench {
    let is_port = |word: &str| word.strip_prefix('p').and_then(|number| number.parse().ok());
    let guest_ports: usize = text.split_whitespace().filter_map(is_port).max().unwrap_or(0);
    Bench::new(1 + guest_ports)
}

#[test]
fn whole_configurations_hold() {
    let blocks: Vec<_> = blocks().into_iter().filter(|block| block.mark == "fulcrum").collect();
    assert!(blocks.len() >= 3, "the worked examples are there");
    for block in blocks {
        let taken = machine_for(&block.text).start_up(&block.text);
        assert!(taken.is_ok(), "{}: {taken:#?}", block.place);
    }
}

#[test]
fn single_statements_hold() {
    let is_list = |block: &Block| block.mark.is_empty() && block.text.starts_with("set ");
    let lists: Vec<_> = blocks().into_iter().filter(is_list).collect();
    assert!(!lists.is_empty(), "README.md has a list of them");
    let site = &Bench::new(4).site;
    let base = config::load(BASE.as_bytes(), site).unwrap();
    for (place, line) in lists.iter().flat_map(|b| b.text.lines().map(|line| (&b.place, line))) {
        let mut reading = Reading::onto(base.clone(), site);
        reading.line(line.as_bytes());
        let taken = reading.end(site);
        assert!(taken.is_ok(), "below {place}: {line}: {taken:#?}");
    }
}

/// Where the page shows an answer, that is the answer; where it shows none, there is no error.
#[test]
fn what_the_readme_types_is_taken() {
    const PROMPT: &str = "fulcrum";
    let is_session =
        |block: &Block| block.place.contains("README.md") && block.text.starts_with(PROMPT);
    let sessions: Vec<_> = blocks().into_iter().filter(is_session).collect();
    assert!(sessions.len() >= 2, "README.md has sessions");
    let mut bench = Bench::new(3);
    for session in &sessions {
        if session.text.starts_with("fulcrum(config*)") {
            bench.type_in(b"configure\rset service web real web1 weight 50\r");
        }
        for (typed, shown) in typed_lines(&session.text) {
            let told = bench.type_in(format!("{typed}\r").as_bytes()).replace("\r\n", "\n");
            assert!(!told.contains("\n% E"), "{}: {told}", session.place);
            assert!(told.contains(&shown), "{}: expected {shown}, seen {told}", session.place);
            // Guests answer, and somebody calls.
            bench.run(Duration::from_secs(2));
            bench.call(40_000);
        }
    }
}

/// What is typed behind a prompt, and what stands below it.
fn typed_lines(session: &str) -> Vec<(&str, String)> {
    let mut lines: Vec<(&str, String)> = Vec::new();
    for line in session.lines() {
        match line.split_once(['>', '#']) {
            Some((prompt, typed)) if prompt.starts_with("fulcrum") => {
                lines.push((typed.trim_start(), String::new()));
            }
            _ => lines.last_mut().expect("a prompt comes first").1.extend([line, "\n"]),
        }
    }
    lines
}
