//! Golden transcripts: `transcripts/*.txt` is what a terminal shows, byte for byte.
//!
//! A line that begins with the prompt is typed, and what follows is the answer that is expected.
//! A typed `?` is a key of its own: the line after its help goes on where it was. The first line
//! says which world the console stands in. The mark of an edited candidate is an answer, too, and may
//! be missing from a prompt that was not seen yet. At the end of a screen stands the key that is
//! pressed there, `--More-- (space)`, which no terminal shows; where a file says nothing of them, all
//! pages are read. `FULCRUM_BLESS=1` writes what was seen into the files; read the difference before
//! you believe it.

use std::fs;
use std::path::Path;

use kernel::pager::{ERASE, MORE};

use crate::desk::Bench;
use crate::paper::{prompt_of, show, unmarked};
use crate::worlds::{enter, files};

#[test]
fn transcripts() {
    let files = files();
    assert!(files.len() > 5, "the transcripts are there");
    let differing: Vec<_> = files.iter().filter(|file| !plays(file)).collect();
    assert!(differing.is_empty(), "differ: {differing:#?}");
}

/// Whether a session with the lines typed in a file shows what is in the file.
fn plays(file: &Path) -> bool {
    let expected = fs::read_to_string(file).unwrap();
    let (world, session) = expected.split_once('\n').expect("a first line");
    let seen = play(world, session);
    if seen == session {
        return true;
    }
    if std::env::var_os("FULCRUM_BLESS").is_some() {
        fs::write(file, format!("{world}\n{seen}")).unwrap();
    }
    let differs = session.lines().zip(seen.lines()).find(|(a, b)| a != b);
    println!("{}: expected and seen, first difference:\n{differs:#?}", file.display());
    false
}

fn play(world: &str, session: &str) -> String {
    let mut bench = enter(world);
    let mut seen = sit_down(&mut bench);
    type_lines(&mut bench, session, &mut seen);
    // The prompt after the last answer has no line end in a file.
    seen.truncate(seen.rfind('\n').map_or(0, |at| at + 1));
    seen
}

/// What whoever comes to a console sees.
pub fn sit_down(bench: &mut Bench) -> String {
    bench.console.greet(&bench.control);
    let mut seen = String::new();
    show(&mut seen, &bench.type_in(b""));
    seen
}

/// Types what is typed in a session, and adds to what was seen.
pub fn type_lines(bench: &mut Bench, session: &str, seen: &mut String) {
    bench.stays_at_page = true;
    for line in session.lines() {
        if let Some(key) = line.strip_prefix(MORE).filter(|_| seen.ends_with(MORE)) {
            press(bench, key.trim_matches([' ', '(', ')']), seen);
            continue;
        }
        let is_typed = line.find(['>', '#']).is_some_and(|at| !line[..at].contains(' '));
        while is_typed && seen.ends_with(MORE) {
            show(seen, &bench.type_in(b" "));
        }
        let (line, prompt) = (unmarked(line), unmarked(prompt_of(seen)));
        let Some(typed) = line.strip_prefix(&prompt).filter(|_| !prompt.is_empty()) else {
            continue;
        };
        let end = if typed.ends_with('?') && !typed.contains('#') { "" } else { "\r" };
        const ERASE_LINE: char = '\x15';
        show(seen, &bench.type_in(format!("{ERASE_LINE}{typed}{end}").as_bytes()));
    }
    while seen.ends_with(MORE) {
        show(seen, &bench.type_in(b" "));
    }
}

/// Presses a key at the end of a page, of which the screen keeps a note.
fn press(bench: &mut Bench, key: &str, seen: &mut String) {
    let byte = match key {
        "space" => b" ",
        "enter" => b"\r",
        other => other.as_bytes(),
    };
    let told = bench.type_in(byte);
    let rest = told.strip_prefix(ERASE).expect("the row is empty again");
    seen.push_str(&format!(" ({key})\n"));
    show(seen, rest);
}
