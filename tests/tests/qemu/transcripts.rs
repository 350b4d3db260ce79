//! The golden transcripts, typed into the booted image: what the shell says on a host it says here.
//!
//! Those of the world that a machine with four NICs begins in. Of what `show` tells of the
//! machine, which is full of its own numbers, the words are compared, of all else every letter.

use std::fs;
use std::path::Path;

use tests::{Machine, Setup};

#[path = "../../../kernel/tests/shell/paper.rs"]
mod paper;

use paper::{prompt_of, show, unmarked};

const WORLD: &str = "# world: four NICs, no configuration\n";
/// QEMU's MACs, and those of the transcripts.
const NICS: [[&str; 2]; 4] = [
    ["52:54:00:12:34:56", "52:54:00:aa:00:00"],
    ["52:54:00:12:34:57", "52:54:00:aa:00:01"],
    ["52:54:00:12:34:58", "52:54:00:aa:00:02"],
    ["52:54:00:12:34:59", "52:54:00:aa:00:03"],
];
const ERASE_LINE: char = '\x15';

#[test]
fn the_image_says_what_the_transcripts_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../kernel/tests/transcripts");
    let mut played = 0;
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        if let Some(session) = text.strip_prefix(WORLD) {
            println!("{}", path.display());
            compare(&play(session), session);
            played += 1;
        }
    }
    assert!(played >= 4, "only {played} of that world");
}

/// What a screen shows when the lines of a session are typed.
fn play(session: &str) -> String {
    let machine = Machine::start(Setup::default());
    let console = &machine.console;
    let mut seen = String::new();
    // From here on all is an answer; what comes before is the story of the boot.
    console.wait_for("Nothing is configured yet");
    seen.push_str("Nothing is configured yet");
    show(&mut seen, &console.wait_for("fulcrum> "));
    seen.push_str("fulcrum> ");
    for (number, line) in session.lines().enumerate() {
        let (line, prompt) = (unmarked(line), unmarked(prompt_of(&seen)));
        let Some(typed) = line.strip_prefix(&prompt).filter(|_| !prompt.is_empty()) else {
            continue;
        };
        let asks = typed.ends_with('?') && !typed.contains('#');
        let end = if asks { ERASE_LINE } else { '\r' };
        // An answer is whole when what was typed after it shows.
        let mark = format!("%{number}%");
        let typed =
            NICS.iter().fold(typed.to_string(), |typed, [here, there]| typed.replace(there, here));
        console.press(&format!("{ERASE_LINE}{typed}{end}{mark}"));
        show(&mut seen, &console.wait_for(&mark));
    }
    seen.truncate(seen.rfind('\n').map_or(0, |at| at + 1));
    NICS.iter().fold(seen, |seen, [here, there]| seen.replace(here, there))
}

fn compare(seen: &str, expected: &str) {
    let mut is_of_machine = false;
    for (seen, expected) in seen.lines().zip(expected.lines()) {
        if expected.contains("> ") || expected.contains(")# ") {
            is_of_machine = expected.contains("> sh") || expected.contains(")# show ");
        }
        match is_of_machine {
            true => assert_eq!(words_of(seen), words_of(expected)),
            false => assert_eq!(seen, expected),
        }
    }
    assert_eq!(seen.lines().count(), expected.lines().count(), "{seen}");
}

/// A row's words: numbers are left out, and what else is the machine's own is the same word.
fn words_of(row: &str) -> Vec<&str> {
    let is_word = |word: &&str| !word.starts_with(|c: char| c.is_ascii_digit()) && *word != "-";
    let same = |word| match word {
        "queue" => "virtio-net",
        // How much memory there is.
        "kB" | "MB" => "GB",
        // Nobody answers probes on a host, and here who is behind the port does.
        "unknown" => "up",
        word => word,
    };
    row.split_whitespace().filter(is_word).map(same).collect()
}
