//! The command reference, `docs/console.md`: what is behind its mark is written from the command
//! tree, and a test fails where the two differ. `FULCRUM_BLESS=1` writes it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use kernel::shell::grammar::{Node, Then};
use kernel::shell::tree::{CONFIGURATION, FILTERS, OPERATIONAL};

const MARK: &str = "<!-- commands: written by the tests of the kernel -->\n";
/// Where the help of a node begins.
const HELP_AT: usize = 34;

/// Prints lists of nodes; one that was printed before is named and not printed again.
#[derive(Default)]
struct Reference {
    text: String,
    /// By where a list lies, what is printed instead of it.
    printed: BTreeMap<usize, String>,
}

impl Reference {
    fn root(&mut self, title: &str, nodes: &'static [Node]) {
        writeln!(self.text, "\n## {title}\n\n```").unwrap();
        self.list(nodes, "", 0);
        self.text.push_str("```\n");
    }

    fn list(&mut self, nodes: &'static [Node], below: &str, depth: usize) {
        for node in nodes.iter().filter(|node| node.token.is_offered()) {
            let (next, ends) = match node.then {
                Then::End(_) => (None, true),
                Then::Next(nodes) | Then::Clauses(_, nodes) => (Some(nodes), false),
                Then::EndOr(_, nodes) | Then::MaybeClauses(_, nodes) => (Some(nodes), true),
                Then::Once | Then::Again => (None, true),
            };
            let again = if matches!(node.then, Then::Again) { " …" } else { "" };
            let words = format!("{:1$}{2}{again}", "", 2 * depth, node.token.label());
            let mark = if ends { "⏎" } else { " " };
            let help = node.help;
            writeln!(self.text, "{words:<HELP_AT$} {mark} {help}").unwrap();
            let line = format!("{below} {}", node.token.label()).trim_start().to_string();
            if let Some(nodes) = next {
                self.below(nodes, &line, depth + 1);
            }
        }
    }

    fn below(&mut self, nodes: &'static [Node], line: &str, depth: usize) {
        if let Some(instead) = self.printed.get(&place(nodes)) {
            writeln!(self.text, "{:1$}{instead}", "", 2 * depth).unwrap();
            return;
        }
        self.printed.insert(place(nodes), format!("as after '{line}'"));
        self.list(nodes, line, depth);
    }
}

fn place(nodes: &'static [Node]) -> usize {
    nodes.as_ptr() as usize
}

/// Its nodes are those of configuration mode, which has a part of its own.
fn after_configure() -> &'static [Node] {
    let is_it = |node: &&Node| node.token.word() == Some("configure");
    match OPERATIONAL.iter().find(is_it).map(|node| node.then) {
        Some(Then::EndOr(_, nodes)) => nodes,
        _ => panic!("configure is a command, and may go on"),
    }
}

#[test]
fn the_reference_is_what_the_tree_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/console.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, after) = page.split_once(MARK).expect("the mark");
    let mut reference = Reference::default();
    reference.printed.insert(place(after_configure()), "as in configuration mode".to_string());
    reference.root("Operational mode", OPERATIONAL);
    reference.root("Configuration mode", CONFIGURATION);
    reference.root("After `|`", FILTERS);
    if after != reference.text && std::env::var_os("FULCRUM_BLESS").is_some() {
        fs::write(&path, format!("{before}{MARK}{}", reference.text)).unwrap();
    }
    assert!(reference.text.lines().count() > 200, "the tree is walked");
    assert!(after == reference.text, "docs/console.md differs from the command tree");
}
