//! What may come next: for `?`, and for TAB.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use lb::Name;

use super::grammar::{Node, Token};
use super::parse::{Said, Walk, Word, words};
use super::problem::Error;
use super::value::{Kind, Value};
use crate::config::{Config, Plan};

/// What TAB can do for a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Completion {
    /// Type this.
    Insert(String),
    /// Show these; there is nothing that all of them begin with beyond what is typed.
    Choose(Vec<String>),
    /// Nothing fits.
    Nothing,
}

/// Whose names there are: those of the configuration that a line is about, and the ports as they
/// are.
pub struct Known<'a> {
    pub config: &'a Config,
    pub plan: &'a Plan,
}

/// Where a line stops: the word that is being typed, and what may stand in its place.
struct Prospect<'a> {
    walk: Walk,
    partial: &'a str,
}

/// Lines of help for what may come after `before`, the line up to the cursor.
pub fn help(before: &str, root: &'static [Node], known: &Known<'_>) -> Result<String, Error> {
    let prospect = Prospect::of(before, root)?;
    let mut lines: Vec<(String, &str)> = Vec::new();
    for node in prospect.options() {
        lines.push((node.token.label().to_string(), node.help));
        if let Token::Value(kind) = node.token {
            let names = prospect.fitting(names(kind, &prospect.walk.said, known));
            lines.extend(names.into_iter().map(|name| (format!("  {name}"), "")));
        }
    }
    if prospect.partial.is_empty() && prospect.walk.may_end() {
        lines.push(("<enter>".to_string(), "the line may end here"));
        if prospect.walk.may_filter() {
            lines.push(("|".to_string(), "filter what is printed"));
        }
    }
    let width = lines.iter().map(|(label, _)| label.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for (label, help) in lines {
        text.push_str(format!("  {label:<width$}  {help}").trim_end());
        text.push('\n');
    }
    if text.is_empty() {
        text.push_str("  nothing may follow here\n");
    }
    Ok(text)
}

/// What TAB does after `before`, the line up to the cursor.
pub fn complete(before: &str, root: &'static [Node], known: &Known<'_>) -> Completion {
    let Ok(prospect) = Prospect::of(before, root) else {
        return Completion::Nothing;
    };
    let mut candidates: Vec<String> = Vec::new();
    for node in prospect.options() {
        match node.token {
            Token::Word(word) | Token::Whole(word) | Token::Choice(word, _) => {
                candidates.push(word.to_string());
            }
            Token::Value(kind) => {
                candidates.extend(prospect.fitting(names(kind, &prospect.walk.said, known)));
            }
            Token::Alias(_) => {}
        }
    }
    let typed = prospect.partial.len();
    match candidates.as_slice() {
        [] => Completion::Nothing,
        [only] => Completion::Insert(format!("{} ", &only[typed..])),
        [first, others @ ..] => {
            let common = others.iter().fold(first.len(), |len, other| common(&first[..len], other));
            if common > typed {
                Completion::Insert(first[typed..common].to_string())
            } else {
                Completion::Choose(candidates)
            }
        }
    }
}

impl<'a> Prospect<'a> {
    fn of(before: &'a str, root: &'static [Node]) -> Result<Prospect<'a>, Error> {
        let mut whole: Vec<Word<'_>> = words(before);
        let is_within_word = !before.ends_with([' ', '\t']);
        let partial = if is_within_word { whole.pop() } else { None };
        let mut walk = Walk::from(root);
        whole.into_iter().try_for_each(|word| walk.step(word))?;
        Ok(Prospect { walk, partial: partial.map_or("", |word| word.text) })
    }

    /// Nodes that are offered and go with what is typed of the word. A value kind always does.
    fn options(&self) -> impl Iterator<Item = &'static Node> {
        let fits = |node: &&Node| {
            let word = node.token.word();
            node.token.is_offered() && word.is_none_or(|word| word.starts_with(self.partial))
        };
        self.walk.options().into_iter().filter(fits)
    }

    fn fitting(&self, names: Vec<String>) -> Vec<String> {
        names.into_iter().filter(|name| name.starts_with(self.partial)).collect()
    }
}

/// The values of a kind that there are.
fn names(kind: Kind, said: &[Said], known: &Known<'_>) -> Vec<String> {
    let config = known.config;
    let service = said.iter().find_map(|said| match &said.value {
        Value::Service(service) => config.services.get(service),
        _ => None,
    });
    match kind {
        Kind::Port | Kind::Destination => {
            let named = known.plan.ports.iter().map(|port| &port.name);
            let is_new = |name: &&Name| known.plan.ports.iter().all(|port| port.name != **name);
            let new = config.ports.keys().filter(is_new);
            named.chain(new).map(|name| name.to_string()).collect()
        }
        Kind::Guest => config.guests.keys().map(|name| name.to_string()).collect(),
        Kind::Service => config.services.keys().map(|name| name.to_string()).collect(),
        Kind::Mirror => config.mirrors.keys().map(|name| name.to_string()).collect(),
        Kind::Group => {
            let groups = config.ports.values().filter_map(|port| port.rules.group.as_ref());
            groups.map(|name| name.to_string()).collect::<BTreeSet<_>>().into_iter().collect()
        }
        Kind::Real => service.map_or(Vec::new(), |service| {
            service.reals.keys().map(|name| name.to_string()).collect()
        }),
        Kind::Hostname
        | Kind::Address
        | Kind::Mac
        | Kind::Pci
        | Kind::L4Port
        | Kind::Weight
        | Kind::FlowsMax
        | Kind::Flows
        | Kind::Vlan
        | Kind::Vlans
        | Kind::MacsMax
        | Kind::Mtu
        | Kind::Rate
        | Kind::FrameRate
        | Kind::StormRate
        | Kind::Broadcasts
        | Kind::Multicasts
        | Kind::Unknowns
        | Kind::RuleNumber
        | Kind::Ports
        | Kind::Ageing
        | Kind::PrefixLen
        | Kind::PayloadOffset
        | Kind::PayloadLen
        | Kind::Time
        | Kind::ProbeSource
        | Kind::OwnAddress
        | Kind::Gateway
        | Kind::Echoes
        | Kind::Path
        | Kind::Expect
        | Kind::CheckPort
        | Kind::Interval
        | Kind::Timeout
        | Kind::Rise
        | Kind::Fall
        | Kind::SlowStart
        | Kind::Percent
        | Kind::End
        | Kind::Prefix
        | Kind::Place
        | Kind::Frame
        | Kind::FrameLen
        | Kind::Frames
        | Kind::SnapBytes
        | Kind::Look
        | Kind::Lines
        | Kind::Text
        | Kind::Back
        | Kind::Comment
        | Kind::Rows
        | Kind::Description => Vec::new(),
    }
}

/// Bytes that two words have in common at their beginning. Words and names are ASCII.
fn common(one: &str, other: &str) -> usize {
    one.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count()
}
