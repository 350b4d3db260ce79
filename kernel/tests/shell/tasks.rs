//! Twenty tasks of an operator, `docs/operator.md`: each begins in a world with traffic, is done by the
//! lines that the page types, and is done when what must hold then holds.
//!
//! The page is played: under the title of a task stand blocks of what is typed and answered, and what
//! happens between two blocks is said here. What the operator has to read in the answers is named here as
//! well, so that nobody's blessing can lose it. How many lines it takes is counted from the page and
//! held against what the others need. `FULCRUM_BLESS=1` writes what was seen, and the counts.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use crate::desk::Bench;
use crate::task_list::TASKS;
use crate::transcripts::{sit_down, type_lines};

/// Where the tasks end.
const LAST: &str = "\n## Counted\n";
/// What follows is the table that is counted here.
const MARK: &str = "<!-- counted: written by the tests of the kernel -->\n";

pub struct Task {
    pub title: &'static str,
    /// The world that it begins in.
    pub begin: fn() -> Bench,
    /// What happens before each block but the first.
    pub meanwhile: &'static [fn(&mut Bench)],
    /// What the operator reads in the answers.
    pub reads: &'static [&'static str],
    /// Whether it is done; panics if not.
    pub holds: fn(&mut Bench),
    /// Of the lines in the page so many come out of a clipboard.
    pub pasted: usize,
    /// What has to be typed elsewhere, where it can be done at all.
    pub others: &'static [(Other, &'static [&'static str])],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Other {
    Vtysh,
    Vyos,
    RouterOs,
    Ipvsadm,
}

impl Other {
    const ALL: [Other; 4] = [Other::Vtysh, Other::Vyos, Other::RouterOs, Other::Ipvsadm];

    fn name(self) -> &'static str {
        match self {
            Other::Vtysh => "vtysh",
            Other::Vyos => "VyOS",
            Other::RouterOs => "RouterOS",
            Other::Ipvsadm => "ipvsadm",
        }
    }
}

#[test]
fn tasks_are_done_as_the_page_says() {
    let page = fs::read_to_string(path()).unwrap();
    let (played, counted) = play(&page);
    if played != page && std::env::var_os("FULCRUM_BLESS").is_some() {
        fs::write(path(), &played).unwrap();
    }
    assert_eq!(counted, TASKS.len(), "each task has its part of the page");
    let differs = page.lines().zip(played.lines()).find(|(a, b)| a != b);
    assert!(played == page, "docs/operator.md and what was seen, first difference: {differs:#?}");
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operator.md")
}

/// The page as it was seen, and how many tasks it has.
fn play(page: &str) -> (String, usize) {
    let (sessions, last) = page.split_once(LAST).expect("the last part");
    let (preface, _) = last.split_once(MARK).expect("the mark");
    let mut parts = sessions.split_inclusive("\n## ");
    let mut seen = parts.next().unwrap_or_default().to_string();
    let mut rows = Vec::new();
    for part in parts {
        let (title, _) = part.split_once('\n').expect("a title");
        let number_and_name = title.split_once(". ").expect("a number and a name");
        let task = TASKS.get(rows.len()).unwrap_or_else(|| panic!("{title} is no task"));
        assert_eq!(number_and_name, (&*(rows.len() + 1).to_string(), task.title));
        let (text, lines) = play_task(task, part);
        seen.push_str(&text);
        rows.push(lines);
    }
    seen.extend([LAST, preface, MARK, &table(&rows)]);
    (seen, rows.len())
}

/// A task's part of the page as it was seen, and the lines that were typed for it.
fn play_task(task: &Task, part: &str) -> (String, usize) {
    const OPEN: &str = "```console\n";
    const CLOSE: &str = "```\n";
    let mut bench = (task.begin)();
    let mut meanwhile = task.meanwhile.iter();
    let (mut seen, mut answers, mut typed) = (String::new(), String::new(), 0);
    let mut rest = part;
    while let Some((before, after)) = rest.split_once(OPEN) {
        let (session, after) = after.split_once(CLOSE).expect("a block ends");
        if !answers.is_empty() {
            let happens = meanwhile.next().unwrap_or_else(|| panic!("{}: too many", task.title));
            happens(&mut bench);
        }
        let mut screen = sit_down(&mut bench);
        screen.drain(..line_at(&screen));
        type_lines(&mut bench, session, &mut screen);
        let told = &screen[..line_at(&screen)];
        typed += session.lines().filter(|line| is_typed(line)).count();
        seen.extend([before, OPEN, &as_shown(told, session), CLOSE]);
        answers.push_str(told);
        rest = after;
    }
    seen.push_str(rest);
    assert!(meanwhile.next().is_none(), "{}: too few blocks", task.title);
    for read in task.reads {
        assert!(answers.contains(read), "{}: expected {read:?} in:\n{answers}", task.title);
    }
    (task.holds)(&mut bench);
    (seen, typed - task.pasted)
}

/// Where the last line begins.
fn line_at(screen: &str) -> usize {
    screen.rfind('\n').map_or(0, |at| at + 1)
}

fn is_typed(line: &str) -> bool {
    let prompt = line.split(' ').next().unwrap_or_default();
    prompt.ends_with('>') || prompt.ends_with(")#")
}

/// What was told, as far as the page shows it: a line `…` stands for the rest.
fn as_shown(told: &str, session: &str) -> String {
    let Some(lines) = session.lines().position(|line| line == "…") else {
        return told.to_string();
    };
    told.lines().take(lines).map(|line| format!("{line}\n")).chain(["…\n".to_string()]).collect()
}

/// Who needs how many lines, and which.
fn table(rows: &[usize]) -> String {
    let mut text = String::from("\n| | task | here |");
    Other::ALL.iter().for_each(|other| write!(text, " {} |", other.name()).unwrap());
    text.push_str("\n|---|---|---|---|---|---|---|\n");
    for (at, (task, lines)) in TASKS.iter().zip(rows).enumerate() {
        write!(text, "| {} | {} | {lines} |", at + 1, task.title).unwrap();
        for other in Other::ALL {
            let count = task.others.iter().find(|(name, _)| *name == other).map(|(_, it)| it.len());
            assert!(count.is_none_or(|count| *lines <= count), "{}: {other:?}", task.title);
            write!(text, " {} |", count.map_or("–".into(), |count| count.to_string())).unwrap();
        }
        text.push('\n');
    }
    text.push_str("\nWhat they type:\n\n");
    for (at, task) in TASKS.iter().enumerate() {
        for (other, lines) in task.others {
            let lines: Vec<_> = lines.iter().map(|line| format!("`{line}`")).collect();
            writeln!(text, "- {}, {}: {}", at + 1, other.name(), lines.join(", ")).unwrap();
        }
    }
    text
}
