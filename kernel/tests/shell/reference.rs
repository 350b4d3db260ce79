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
    /// By where a list lies, the line that it was printed below.
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
        if let Some(printed) = self.printed.get(&(nodes.as_ptr() as usize)) {
            let same = format!("{:1$}as after '{printed}'", "", 2 * depth);
            writeln!(self.text, "{same}").unwrap();
            return;
        }
        self.printed.insert(nodes.as_ptr() as usize, line.to_string());
        self.list(nodes, line, depth);
    }
}

#[test]
fn the_reference_is_what_the_tree_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/console.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, after) = page.split_once(MARK).expect("the mark");
    let mut reference = Reference::default();
    reference.root("Operational mode", OPERATIONAL);
    reference.root("Configuration mode", CONFIGURATION);
    reference.root("After `|`", FILTERS);
    if after != reference.text && std::env::var_os("FULCRUM_BLESS").is_some() {
        fs::write(&path, format!("{before}{MARK}{}", reference.text)).unwrap();
    }
    assert!(reference.text.lines().count() > 200, "the tree is walked");
    assert!(after == reference.text, "docs/console.md differs from the command tree");
}
