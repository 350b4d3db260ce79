//! The command tree, walked whole: what holds for every node, and that every path of it means
//! something.

use kernel::config::Statement;
use kernel::shell::grammar::{Action, Node, Then, Token};
use kernel::shell::parse::parse;
use kernel::shell::tree::{CONFIGURATION, FILTERS, OPERATIONAL};
use kernel::shell::value::Kind;

/// What a list of nodes belongs to: the line so far, and the list of clauses that it is in.
struct Place<'a> {
    line: String,
    clauses: Option<(&'a Action, &'static [Node])>,
}

/// Calls `list` for every list of nodes, and `end` for every line that is a command.
fn walk(
    place: &Place<'_>,
    nodes: &'static [Node],
    list: &mut dyn FnMut(&str, &'static [Node]),
    end: &mut dyn FnMut(&str, Action),
) {
    list(&place.line, nodes);
    for node in nodes {
        let line = format!("{} {}", place.line, example(node.token)).trim_start().to_string();
        let here = Place { line, clauses: place.clauses };
        match &node.then {
            Then::End(action) => end(&here.line, *action),
            Then::Next(nodes) => walk(&here, nodes, list, end),
            Then::EndOr(action, nodes) => {
                end(&here.line, *action);
                walk(&here, nodes, list, end);
            }
            Then::Clauses(action, nodes) => {
                walk(&Place { clauses: Some((action, nodes)), ..here }, nodes, list, end);
            }
            Then::MaybeClauses(action, nodes) => {
                end(&here.line, *action);
                walk(&Place { clauses: Some((action, nodes)), ..here }, nodes, list, end);
            }
            Then::Once | Then::Again => {
                let (action, _) = place.clauses.expect("a clause is in a list of clauses");
                end(&here.line, *action);
            }
        }
    }
}

fn example(token: Token) -> &'static str {
    match token {
        Token::Word(word) | Token::Whole(word) | Token::Alias(word) | Token::Choice(word, _) => {
            word
        }
        Token::Value(kind) => match kind {
            Kind::Hostname
            | Kind::Port
            | Kind::Destination
            | Kind::Guest
            | Kind::Mirror
            | Kind::Service
            | Kind::Real => "a",
            Kind::Address | Kind::ProbeSource | Kind::Gateway => "10.0.0.1",
            Kind::OwnAddress => "10.0.0.9/24",
            Kind::Flows => "2048",
            Kind::Ageing => "99s",
            Kind::Group => "blue",
            Kind::MacsMax => "8",
            Kind::Mtu => "9000",
            Kind::Rate => "500Mbps",
            Kind::FrameRate => "100pps",
            Kind::StormRate => "off",
            Kind::Broadcasts | Kind::Multicasts | Kind::Unknowns => "200pps",
            Kind::RuleNumber => "10",
            Kind::Ports => "80-90",
            Kind::Vlans => "9,20-29",
            Kind::Time | Kind::Interval | Kind::Timeout | Kind::SlowStart | Kind::Look => "9s",
            Kind::Path => "/x",
            Kind::Expect => "200",
            Kind::End => "10.0.0.1:9",
            Kind::Prefix => "10.0.0.0/8",
            Kind::Percent => "9%",
            Kind::Mac => "52:54:00:01:00:01",
            Kind::Pci => "00:02.0",
            Kind::L4Port
            | Kind::CheckPort
            | Kind::Rise
            | Kind::Fall
            | Kind::Weight
            | Kind::FlowsMax
            | Kind::Vlan
            | Kind::PrefixLen
            | Kind::PayloadOffset
            | Kind::PayloadLen
            | Kind::Place
            | Kind::FrameLen
            | Kind::Frames
            | Kind::Echoes
            | Kind::Lines => "9",
            Kind::SnapBytes | Kind::Rows => "99",
            Kind::Frame => "00",
            Kind::Text | Kind::Comment | Kind::Description => "x",
            Kind::Back => "1",
        },
    }
}

fn start() -> Place<'static> {
    Place { line: String::new(), clauses: None }
}

#[test]
fn every_node_is_fit_to_be_shown() {
    for root in [OPERATIONAL, CONFIGURATION, FILTERS] {
        walk(
            &start(),
            root,
            &mut |line, nodes| {
                let offered: Vec<_> = nodes.iter().filter(|node| node.token.is_offered()).collect();
                for node in &offered {
                    assert!(!node.help.is_empty(), "{line}: {} has no help", node.token.label());
                    assert!(
                        node.help.chars().count() <= 58,
                        "{line}: {} is long",
                        node.token.label()
                    );
                }
                let words: Vec<_> = offered.iter().filter_map(|node| node.token.word()).collect();
                assert!(words.is_sorted(), "{line}: {words:?} are sorted");
                let kinds = offered.iter().filter_map(|node| match node.token {
                    Token::Value(kind) => Some(kind),
                    _ => None,
                });
                let kinds: Vec<_> = kinds.collect();
                assert!(kinds.len() <= 1, "{line}: one kind of value at most");
                let mut beginnings =
                    words.iter().flat_map(|word| (1..=word.len()).map(|len| &word[..len]));
                let is_both = |text: &str| kinds.iter().any(|kind| kind.parse(text).is_ok());
                assert!(!beginnings.any(is_both), "{line}: what is a word is no value beside it");
            },
            &mut |_, _| {},
        );
    }
}

#[test]
fn every_path_is_a_command_and_every_statement_says_all_it_needs() {
    let mut statements = 0;
    for root in [OPERATIONAL, CONFIGURATION] {
        walk(&start(), root, &mut |_, _| {}, &mut |line, action| {
            let sentence = parse(line, root).expect(line).expect(line);
            assert_eq!(sentence.action, action, "{line}");
            if matches!(action, Action::Set(_) | Action::Delete(_)) {
                let statement = Statement::of(&sentence).expect(line);
                let line = line.strip_prefix("configure ").unwrap_or(line);
                assert_eq!(statement.to_string(), line.replacen("no ", "delete ", 1));
                statements += 1;
            }
        });
    }
    assert!(statements > 100, "{statements} statements");
}

/// A word may be shortened to whatever is unique; the first letters of `reboot` do nothing.
#[test]
fn words_may_be_shortened() {
    let same = [
        ("show version", "sh ver"),
        ("show mac", "show mac address-table"),
        ("show configuration", "sh run"),
        ("show configuration", "show conf"),
        ("configure", "conf t"),
        ("configure rollback 1", "conf roll 1"),
        ("write", "wr"),
        ("drain real web web1", "d r web web1"),
        ("terminal script on", "ter s on"),
    ];
    for (long, short) in same {
        let meaning = |line| {
            let sentence = parse(line, OPERATIONAL).expect(line).expect(line);
            (sentence.action, sentence.said.into_iter().map(|said| said.value).collect::<Vec<_>>())
        };
        assert_eq!(meaning(long), meaning(short), "{short}");
    }
    for short in ["reboo", "powerof", "reb", "po"] {
        let error = parse(short, OPERATIONAL).unwrap_err().to_string();
        assert!(error.starts_with("% E111"), "{error}");
    }
}
