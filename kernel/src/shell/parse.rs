//! From a line to a [`Sentence`]: words are matched along the tree, values are checked, and the
//! first thing that does not fit is named with its column.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::IpAddr;
use core::num::{NonZeroU8, NonZeroU16, NonZeroU32};
use core::time::Duration;

use lb::service::check::Path;
use lb::switch::mtu::Mtu;
use lb::{Expect, MacAddr, Name, VlanSet};

use super::grammar::{Action, Node, Sieve, Then, Token};
use super::problem::{Error, Problem};
use super::tree::FILTERS;
use super::value::{Choice, FrameRate, Kind, Prefix, Rate, Value};
use crate::config::{Description, LINE_BYTES_MAX, is_unseen};

/// A whole command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sentence {
    pub action: Action,
    /// The values in the order in which they were said.
    pub said: Vec<Said>,
    pub filters: Vec<Filter>,
}

/// A value and where it stood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    pub value: Value,
    pub column: usize,
}

/// One `| …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    pub sieve: Sieve,
    /// The text or the number of lines, as the sieve needs it.
    pub operand: Option<Value>,
}

/// A word of a line.
#[derive(Clone, Copy, Debug)]
pub struct Word<'a> {
    pub text: &'a str,
    /// In characters, from 1.
    pub column: usize,
}

/// A place in the tree, and what was said on the way there.
pub struct Walk {
    nodes: &'static [Node],
    /// What the line means if it ends here.
    action: Option<Action>,
    clauses: Option<OpenClauses>,
    /// The `show` whose output the filters take, once there was a `|`.
    filtered: Option<Action>,
    pub said: Vec<Said>,
    filters: Vec<Filter>,
}

/// A list of clauses that the walk is in.
struct OpenClauses {
    action: Action,
    nodes: &'static [Node],
    /// Words of the clauses that may not come again.
    used: Vec<&'static str>,
    current: &'static str,
}

/// The bytes of a line as text: neither too long nor binary.
pub fn text_of(line: &[u8]) -> Result<&str, Error> {
    text_within(line, LINE_BYTES_MAX)
}

/// The same of a line that may have another length.
pub fn text_within(line: &[u8], bytes_max: usize) -> Result<&str, Error> {
    if line.len() > bytes_max {
        return Err(Error::at(bytes_max + 1, Problem::LineTooLong { bytes_max }));
    }
    let mut columns = 0;
    for chunk in line.utf8_chunks() {
        let control = |c: char| c.is_control() && c != '\t';
        if let Some(offset) = chunk.valid().chars().position(control) {
            let byte = chunk.valid().chars().nth(offset).map_or(0, |c| c as u32 as u8);
            return Err(Error::at(columns + offset + 1, Problem::Byte(byte)));
        }
        columns += chunk.valid().chars().count();
        if let Some(&byte) = chunk.invalid().first() {
            return Err(Error::at(columns + 1, Problem::Byte(byte)));
        }
    }
    // Whatever is no text has returned by now.
    Ok(core::str::from_utf8(line).unwrap_or_default())
}

const BLANKS: [char; 2] = [' ', '\t'];

/// The words of a line, up to a comment.
pub fn words(line: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let (mut rest, mut column) = (line, 1);
    loop {
        let text = rest.trim_start_matches(BLANKS);
        column += rest.len() - text.len();
        if text.is_empty() || text.starts_with(['#', '!']) {
            return words;
        }
        let (word, after) = text.split_at(word_bytes(text));
        words.push(Word { text: word, column });
        column += word.chars().count();
        rest = after;
    }
}

/// How long the word is that a text begins with. A quote that it begins with goes to the quote at
/// the end of a word, if there is one; both are of the word.
fn word_bytes(text: &str) -> usize {
    let closes = |at: &usize| text[at + 1..].is_empty() || text[at + 1..].starts_with(BLANKS);
    let quotes = text.match_indices('"').map(|(at, _)| at).skip(1);
    let closed = text.starts_with('"').then_some(quotes).and_then(|mut quotes| quotes.find(closes));
    closed.map_or_else(|| text.find(BLANKS).unwrap_or(text.len()), |at| at + 1)
}

/// The command in a line; `None` if there is nothing but blanks and comment.
pub fn parse(line: &str, root: &'static [Node]) -> Result<Option<Sentence>, Error> {
    let words = words(line);
    let Some(last) = words.last().copied() else {
        return Ok(None);
    };
    let mut walk = Walk::from(root);
    words.into_iter().try_for_each(|word| walk.step(word))?;
    walk.end(last.column + last.text.chars().count() + 1).map(Some)
}

/// The word of `root` that a line begins with, if it is one.
pub fn first_word(line: &str, root: &'static [Node]) -> Option<&'static str> {
    let first = words(line).into_iter().next()?;
    Walk::from(root).find(first).ok()?.token.word()
}

impl Walk {
    pub fn from(root: &'static [Node]) -> Walk {
        Walk {
            nodes: root,
            action: None,
            clauses: None,
            filtered: None,
            said: Vec::new(),
            filters: Vec::new(),
        }
    }

    /// Nodes that may come next.
    pub fn options(&self) -> Vec<&'static Node> {
        let used = self.clauses.as_ref().map_or(&[][..], |clauses| &clauses.used);
        let is_free = |node: &&Node| node.token.word().is_none_or(|word| !used.contains(&word));
        self.nodes.iter().filter(is_free).collect()
    }

    pub fn may_end(&self) -> bool {
        self.action.is_some()
    }

    /// Whether `|` may come next.
    pub fn may_filter(&self) -> bool {
        match self.action {
            Some(Action::Show(_)) => true,
            Some(Action::Filter(sieve)) => sieve != Sieve::Json,
            _ => false,
        }
    }

    pub fn step(&mut self, word: Word<'_>) -> Result<(), Error> {
        if word.text == "|" && self.action.is_some() {
            return self.pipe(word);
        }
        let node = self.find(word).map_err(|problem| Error::at(word.column, problem))?;
        let value = match node.token {
            Token::Word(_) | Token::Whole(_) | Token::Alias(_) => None,
            Token::Choice(_, choice) => Some(Value::Choice(choice)),
            Token::Value(kind) => Some(value(kind, word)?),
        };
        self.said.extend(value.map(|value| Said { value, column: word.column }));
        self.enter(node);
        Ok(())
    }

    /// The line is over; `column` is where its next word would have stood.
    fn end(mut self, column: usize) -> Result<Sentence, Error> {
        let Some(action) = self.action else {
            let expected = offered(&self.options());
            return Err(Error::at(column, Problem::Incomplete { expected }));
        };
        if let Action::Filter(sieve) = action {
            self.close_filter(sieve);
        }
        let action = self.filtered.unwrap_or(action);
        Ok(Sentence { action, said: self.said, filters: self.filters })
    }

    fn find(&self, word: Word<'_>) -> Result<&'static Node, Problem> {
        let options = self.options();
        if options.is_empty() {
            return Err(Problem::TooMuch { word: word.text.to_string() });
        }
        if let Some(exact) = options.iter().find(|node| node.token.word() == Some(word.text)) {
            return Ok(exact);
        }
        for offered in [true, false] {
            let fits = |node: &&&Node| {
                node.token.is_offered() == offered
                    && node.token.word().is_some_and(|long| long.starts_with(word.text))
            };
            let mut fitting = options.iter().filter(fits);
            match (fitting.next(), fitting.next()) {
                (Some(node), None) => return whole_enough(node),
                (Some(_), Some(_)) => return Err(ambiguous(word, options.iter().filter(fits))),
                (None, _) => {}
            }
        }
        let value = options.iter().find(|node| matches!(node.token, Token::Value(_)));
        value.copied().ok_or_else(|| self.unknown(word, &options))
    }

    /// A word that fits nowhere: said before, or misspelt.
    fn unknown(&self, word: Word<'_>, options: &[&'static Node]) -> Problem {
        let used = self.clauses.as_ref().map_or(&[][..], |clauses| &clauses.used);
        if let Some(again) = used.iter().find(|used| used.starts_with(word.text)) {
            return Problem::SaidTwice { word: again.to_string() };
        }
        let expected = offered(options);
        let nearest = nearest(word.text, &expected);
        Problem::UnknownWord { word: word.text.to_string(), expected, nearest }
    }

    fn enter(&mut self, node: &'static Node) {
        if let (Some(clauses), Some(word)) = (&mut self.clauses, node.token.word())
            && core::ptr::eq(clauses.nodes, self.nodes)
        {
            clauses.current = word;
        }
        match node.then {
            Then::End(action) => self.place(&[], Some(action)),
            Then::Next(nodes) => self.place(nodes, None),
            Then::EndOr(action, nodes) => self.place(nodes, Some(action)),
            Then::Clauses(action, nodes) => self.open(action, nodes, None),
            Then::MaybeClauses(action, nodes) => self.open(action, nodes, Some(action)),
            Then::Once => self.back(true),
            Then::Again => self.back(false),
        }
    }

    fn place(&mut self, nodes: &'static [Node], action: Option<Action>) {
        self.nodes = nodes;
        self.action = action;
    }

    fn open(&mut self, action: Action, nodes: &'static [Node], end: Option<Action>) {
        self.clauses = Some(OpenClauses { action, nodes, used: Vec::new(), current: "" });
        self.place(nodes, end);
    }

    /// A clause is complete: back to the list of clauses.
    fn back(&mut self, used_up: bool) {
        if let Some(clauses) = &mut self.clauses {
            if used_up {
                clauses.used.push(clauses.current);
            }
            (self.nodes, self.action) = (clauses.nodes, Some(clauses.action));
        }
    }

    fn pipe(&mut self, word: Word<'_>) -> Result<(), Error> {
        match self.action {
            Some(action @ Action::Show(_)) => self.filtered = Some(action),
            Some(Action::Filter(Sieve::Json)) => {
                return Err(Error::at(word.column, Problem::AfterJson));
            }
            Some(Action::Filter(sieve)) => self.close_filter(sieve),
            _ => return Err(Error::at(word.column, Problem::NoFilter)),
        }
        self.clauses = None;
        self.place(FILTERS, None);
        Ok(())
    }

    /// The value said last is the filter's, if it has one.
    fn close_filter(&mut self, sieve: Sieve) {
        let operand = match sieve {
            Sieve::Count | Sieve::Json | Sieve::NoMore => None,
            Sieve::Match | Sieve::Except | Sieve::Begin | Sieve::First | Sieve::Last => {
                self.said.pop().map(|said| said.value)
            }
        };
        self.filters.push(Filter { sieve, operand });
    }
}

impl Sentence {
    /// Where a name was said.
    pub fn column_of(&self, name: &str) -> Option<usize> {
        let is_it = |value: &Value| match value {
            Value::Port(said)
            | Value::Guest(said)
            | Value::Service(said)
            | Value::Destination(said) => said.as_str() == name,
            _ => false,
        };
        self.said.iter().find(|said| is_it(&said.value)).map(|said| said.column)
    }

    /// The words that are values, in the order in which they were said.
    pub fn choices(&self) -> impl Iterator<Item = Choice> {
        self.said.iter().filter_map(|said| match said.value {
            Value::Choice(choice) => Some(choice),
            _ => None,
        })
    }

    /// A program wants it as a document, whether it says so or not.
    pub fn ask_for_document(&mut self) {
        if self.filters.last().is_none_or(|filter| filter.sieve != Sieve::Json) {
            self.filters.push(Filter { sieve: Sieve::Json, operand: None });
        }
    }
}

macro_rules! accessors {
    ($($name:ident: $kind:ident($of:ty),)*) => {
        impl Sentence {
            $(
                /// The first value of this kind.
                pub fn $name(&self) -> Option<$of> {
                    self.said.iter().find_map(|said| match &said.value {
                        Value::$kind(value) => Some(value.clone()),
                        _ => None,
                    })
                }
            )*
        }
    };
}

accessors! {
    mirror: Mirror(Name),
    destination: Destination(Name),
    hostname: Hostname(Name),
    port: Port(Name),
    guest: Guest(Name),
    service: Service(Name),
    address: Address(IpAddr),
    mac: Mac(MacAddr),
    pci: Pci(drivers::pci::Address),
    l4_port: L4Port(NonZeroU16),
    weight: Weight(u16),
    flows_max: FlowsMax(NonZeroU32),
    flows: Flows(NonZeroU32),
    vlan: Vlan(u16),
    vlans: Vlans(Box<VlanSet>),
    group: Group(Name),
    macs_max: MacsMax(NonZeroU32),
    mtu: Mtu(Mtu),
    rate: Rate(Rate),
    frame_rate: FrameRate(FrameRate),
    storm_rate: StormRate(Option<FrameRate>),
    broadcasts: Broadcasts(FrameRate),
    multicasts: Multicasts(FrameRate),
    unknowns: Unknowns(FrameRate),
    rule_number: RuleNumber(u16),
    ports: Ports(lb::switch::access::Ports),
    ageing: Ageing(Duration),
    prefix_len: PrefixLen(u8),
    payload_offset: PayloadOffset(u16),
    payload_len: PayloadLen(NonZeroU8),
    time: Time(Duration),
    path: Path(Path),
    expect: Expect(Expect),
    check_port: CheckPort(NonZeroU16),
    interval: Interval(Duration),
    timeout: Timeout(Duration),
    rise: Rise(NonZeroU8),
    fall: Fall(NonZeroU8),
    slow_start: SlowStart(Duration),
    percent: Percent(u8),
    choice: Choice(Choice),
    probe_source: ProbeSource(IpAddr),
    own_address: OwnAddress(Prefix),
    gateway: Gateway(IpAddr),
    echoes: Echoes(u16),
    frame: Frame(Vec<u8>),
    frame_len: FrameLen(u16),
    frames: Frames(u16),
    snap_bytes: SnapBytes(u16),
    look: Look(Duration),
    back: Back(usize),
    comment: Comment(String),
    prefix: Prefix(Prefix),
    place: Place(usize),
    rows: Rows(u16),
    description: Description(Description),
}

/// The words (or placeholders) of the nodes that are offered.
pub fn offered(nodes: &[&'static Node]) -> Vec<&'static str> {
    nodes.iter().filter(|node| node.token.is_offered()).map(|node| node.token.label()).collect()
}

/// A node of which the beginning was said.
fn whole_enough(node: &'static Node) -> Result<&'static Node, Problem> {
    match node.token {
        Token::Whole(word) => Err(Problem::TooShort { word }),
        Token::Word(_) | Token::Alias(_) | Token::Choice(..) | Token::Value(_) => Ok(node),
    }
}

fn value(kind: Kind, word: Word<'_>) -> Result<Value, Error> {
    kind.parse(word.text).map_err(|misfit| {
        let part = misfit.part.map(|(offset, reason)| (word.column + offset, reason));
        let text = word.text.replace(is_unseen, "?");
        Error::at(word.column, Problem::NotAValue { text, wanted: misfit.wanted, part })
    })
}

fn ambiguous<'a>(word: Word<'_>, nodes: impl Iterator<Item = &'a &'static Node>) -> Problem {
    let candidates = nodes.map(|node| node.token.label()).collect();
    Problem::Ambiguous { word: word.text.to_string(), candidates }
}

/// The word that `text` was perhaps meant to be: at most two slips away.
pub fn nearest(text: &str, words: &[&'static str]) -> Option<&'static str> {
    const SLIPS_MAX: usize = 2;
    let near = words.iter().map(|word| (slips(text, word), *word));
    let near = near.filter(|(slips, word)| *slips <= SLIPS_MAX && *slips < word.len());
    near.min_by_key(|(slips, _)| *slips).map(|(_, word)| word)
}

/// How many characters must be put in, left out, changed or swapped with their neighbour (optimal
/// string alignment).
fn slips(from: &str, to: &str) -> usize {
    let from: Vec<char> = from.chars().collect();
    let to: Vec<char> = to.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=to.len()).collect();
    for i in 1..=from.len() {
        let mut row = Vec::with_capacity(to.len() + 1);
        row.push(i);
        for j in 1..=to.len() {
            let changed = usize::from(from[i - 1] != to[j - 1]);
            let mut least = (above[j] + 1).min(row[j - 1] + 1).min(above[j - 1] + changed);
            let swapped = i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1];
            if swapped {
                least = least.min(before[j - 2] + 1);
            }
            row.push(least);
        }
        before = core::mem::replace(&mut above, row);
    }
    above[to.len()]
}
