//! What `| json` says, in every world of the transcripts.
//!
//! Whatever a transcript shows is asked for once more as a document, which has to be one line of
//! JSON. All documents together make the list of schemas, `docs/schemas.txt`: a name that is new or
//! gone, or another type, is a difference there. `FULCRUM_BLESS=1` writes what was seen; another
//! meaning of a name that programs may know wants another number of its schema.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use kernel::journal;
use kernel::shell::grammar::{Action, Node, Show, Then};
use kernel::shell::json;
use kernel::shell::parse::parse;
use kernel::shell::problem::{Error, Problem};
use kernel::shell::tree::{CONFIGURATION, OPERATIONAL};
use serde_json::Value;

use crate::cuts::crowd;
use crate::desk::Bench;
use crate::worlds::{enter, files};

/// Members whose names are counters' names; those that were never counted may be missing.
const COUNTERS: [&str; 2] = ["nic", "endings.drops"];

/// The schemas of documents: the kinds of values seen at each place, and how often there was one.
#[derive(Default)]
struct Schemas(BTreeMap<String, BTreeMap<String, Seen>>);

#[derive(Default)]
struct Seen {
    kinds: BTreeSet<&'static str>,
    count: usize,
}

#[test]
fn every_show_makes_a_document_of_its_schema() {
    journal::begin();
    let mut schemas = Schemas::default();
    let mut shown = BTreeSet::new();
    for file in files() {
        let text = fs::read_to_string(file).unwrap();
        let (world, session) = text.split_once('\n').expect("a first line");
        let mut bench = enter(world);
        for line in typed(session) {
            if let Some((show, asked)) = as_document(line) {
                shown.insert(format!("{show:?}"));
                schemas.take(&document(&mut bench, &asked));
            }
            bench.type_in(format!("{line}\r").as_bytes());
        }
    }
    assert_eq!(shown, every_show(), "every show is in a transcript");
    schemas.take(&document(&mut crowd(), "show flow | json"));
    schemas.take(&document(&mut Bench::new(4), "show port | count | json"));
    schemas.take(&document(&mut Bench::new(4), "show servce | json"));
    let in_a_file = Error::whole(Problem::NoFilter).on_line(7);
    let errors = json::errors(b"load merge | json", &[in_a_file]).expect("a document");
    schemas.take(&serde_json::from_str(&errors).unwrap());
    replies().iter().for_each(|reply| schemas.take(reply));
    schemas.compare(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/schemas.txt"));
}

/// A reply of each kind. What is in a document is told under its own schema.
fn replies() -> Vec<Value> {
    let mut bench = Bench::new(4);
    bench.type_in(b"terminal script on\r");
    let lines = [
        r#"{"id": 7, "command": "show version"}"#,
        r#"{"id": "a", "command": "help"}"#,
        r#"{"command": "show servce"}"#,
        r#"{"command": "load merge", "text": "set"}"#,
    ];
    let replies = lines.map(|line| {
        bench.type_in(b"configure\n");
        let mut reply = document(&mut bench, line);
        if let Some(document) = reply.get_mut("document").and_then(Value::as_object_mut) {
            document.retain(|member, _| member == "schema");
        }
        reply
    });
    replies.into()
}

/// Everything that the tree knows to show.
fn every_show() -> BTreeSet<String> {
    fn walk(nodes: &[Node], found: &mut BTreeSet<String>) {
        for node in nodes {
            let (action, next) = match node.then {
                Then::End(action) => (Some(action), &[][..]),
                Then::Next(next) => (None, next),
                Then::EndOr(action, next)
                | Then::Clauses(action, next)
                | Then::MaybeClauses(action, next) => (Some(action), next),
                Then::Once | Then::Again => (None, &[][..]),
            };
            found.extend(action.and_then(show_of).map(|show| format!("{show:?}")));
            walk(next, found);
        }
    }
    let mut found = BTreeSet::new();
    [OPERATIONAL, CONFIGURATION].iter().for_each(|root| walk(root, &mut found));
    found
}

/// The lines that somebody types in a transcript.
fn typed(session: &str) -> impl Iterator<Item = &str> {
    let commands = session.lines().filter_map(|line| {
        let at = line.find(['>', '#']).filter(|&at| !line[..at].contains(' '))?;
        line[at + 1..].strip_prefix(' ')
    });
    commands.filter(|line| !line.ends_with('?'))
}

/// What a line shows, and the line that asks for all of it as a document.
fn as_document(line: &str) -> Option<(Show, String)> {
    let mut readings =
        [OPERATIONAL, CONFIGURATION].into_iter().filter_map(|root| parse(line, root).ok()?);
    let show = show_of(readings.next()?.action)?;
    let unfiltered = line.split('|').next().unwrap_or(line);
    Some((show, format!("{unfiltered} | json")))
}

fn show_of(action: Action) -> Option<Show> {
    match action {
        Action::Show(show) => Some(show),
        _ => None,
    }
}

/// The one document that a line is answered with.
pub fn document(bench: &mut Bench, line: &str) -> Value {
    let screen = bench.type_in(format!("{line}\r").as_bytes());
    let mut documents = screen.split("\r\n").filter(|line| line.starts_with('{'));
    let document = documents.next().unwrap_or_else(|| panic!("{line}: {screen}"));
    assert_eq!(documents.next(), None, "{line}: one document");
    assert!(document.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{line}: {document}");
    serde_json::from_str(document).unwrap_or_else(|error| panic!("{line}: {error}: {document}"))
}

impl Schemas {
    fn take(&mut self, document: &Value) {
        let schema = document["schema"].as_str().expect("a document says what it is");
        let places = self.0.entry(schema.to_string()).or_default();
        see(places, "", document);
    }

    /// One line for each place. Somewhere there was a value: a member that is `null` everywhere, or
    /// an array that is always empty, would say nothing of itself.
    fn text(&self) -> String {
        let mut text = String::new();
        for (schema, places) in &self.0 {
            text.push_str(&format!("{schema}\n"));
            for (place, seen) in places.iter().filter(|(place, _)| !place.is_empty()) {
                let is_told_by_items = places.contains_key(&format!("{place}[]"))
                    || places.keys().any(|inner| inner.starts_with(&format!("{place}.")));
                let kinds = seen.kinds.iter().filter(|kind| !is_told_by_items || **kind == "null");
                let kinds: Vec<_> = kinds.copied().collect();
                if !kinds.is_empty() {
                    text.push_str(&format!("  {place:<40} {}\n", kinds.join(" | ")));
                }
                let is_value = |kind| !["null", "array", "object"].contains(kind);
                assert!(
                    is_told_by_items || kinds.iter().any(is_value),
                    "{schema} {place}: a value"
                );
            }
            text.push('\n');
        }
        text.truncate(text.trim_end().len() + 1);
        text
    }

    fn compare(&self, golden: &PathBuf) {
        let seen = self.text();
        let expected = fs::read_to_string(golden).unwrap_or_default();
        if expected != seen && std::env::var_os("FULCRUM_BLESS").is_some() {
            fs::write(golden, &seen).unwrap();
        }
        let differs = expected.lines().zip(seen.lines()).find(|(a, b)| a != b);
        assert!(expected == seen, "expected and seen, first difference: {differs:#?}");
    }
}

/// Takes in the kinds of a value and of all in it.
fn see(places: &mut BTreeMap<String, Seen>, place: &str, value: &Value) {
    let seen = places.entry(place.to_string()).or_default();
    seen.count += 1;
    seen.kinds.insert(match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    });
    match value {
        Value::Array(items) => {
            items.iter().for_each(|item| see(places, &format!("{place}[]"), item))
        }
        Value::Object(members) => {
            for (name, member) in members {
                let is_snake = name.bytes().all(|c| matches!(c, b'a'..=b'z' | b'0'..=b'9' | b'_'));
                assert!(is_snake, "{place}.{name} is snake_case");
                let name = if COUNTERS.contains(&place) { "*" } else { name };
                let dot = if place.is_empty() { "" } else { "." };
                see(places, &format!("{place}{dot}{name}"), member);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
