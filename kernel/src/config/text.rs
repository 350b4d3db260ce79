//! Configuration as text: `set` lines, from a file or typed after `load`, taken in whole or not at
//! all.
//!
//! Lines come one after the other and none is kept, so a text may be longer than the memory. Nobody's
//! editor is refused: CRLF, tabs, a byte-order mark and trailing blanks are all right. Every error
//! is listed, not only the first. Statements of one thing on two lines are an error too: in a text
//! that was put together by hand the later line is a slip as often as it is meant.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::{
    Config, ERRORS_MAX, Finding, Item, LINES_MAX, ServicePart, Setting, Site, Statement,
    THINGS_MAX, check,
};
use crate::shell::parse::{Sentence, parse, text_of};
use crate::shell::problem::{Error, Problem, unchanged};
use crate::shell::tree::FILE;
use crate::shell::value::{Choice, Value};

/// What a text has said so far.
#[derive(Debug, Default)]
pub struct Reading {
    pub config: Config,
    /// What could not be read; the configuration is then only a part of what was meant.
    pub errors: Vec<Error>,
    /// What was wrong before the first line.
    before: Vec<Finding>,
    /// Where each item was stated first.
    origins: BTreeMap<Item, Place>,
    lines: usize,
    /// A limit was reached: the rest is not read.
    is_over: bool,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    line: usize,
    column: usize,
}

/// The configuration in a file, if it holds together on this machine. One with errors is refused
/// whole: all of them come back.
pub fn load(text: &[u8], site: &Site) -> Result<Config, Vec<Error>> {
    read(text).end(site)
}

/// Reads a file to its end, or to the limit of its lines or its errors.
pub fn read(text: &[u8]) -> Reading {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let mut reading = Reading::default();
    for line in text.split(|&byte| byte == b'\n').take(LINES_MAX + 1) {
        reading.line(line);
    }
    reading
}

impl Reading {
    /// Lines that come on top of a configuration.
    pub fn onto(config: Config, site: &Site) -> Reading {
        let before = check(&config, site).err().unwrap_or_default();
        Reading { config, before, ..Reading::default() }
    }

    /// Takes in the next line, without its line feed.
    pub fn line(&mut self, line: &[u8]) {
        const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
        if self.is_over {
            return;
        }
        self.lines += 1;
        if self.lines > LINES_MAX {
            return self.stop(Problem::TooManyLines { max: LINES_MAX });
        }
        let marked = if self.lines == 1 { line.strip_prefix(BYTE_ORDER_MARK) } else { None };
        let line = marked.unwrap_or(line);
        self.take(line.strip_suffix(b"\r").unwrap_or(line));
        if self.errors.len() > ERRORS_MAX {
            self.errors.truncate(ERRORS_MAX);
            self.stop(Problem::TooManyErrors { max: ERRORS_MAX });
        }
    }

    /// There is no further line: the whole, if it holds together on this machine as far as it did
    /// before, or all that is wrong.
    pub fn end(mut self, site: &Site) -> Result<Config, Vec<Error>> {
        let mut errors = core::mem::take(&mut self.errors);
        if let Err(mut findings) = check(&self.config, site) {
            findings.retain(|finding| !self.before.contains(finding));
            if !errors.is_empty() {
                findings.retain(|finding| finding.stands_alone());
            }
            errors.extend(findings.into_iter().map(|finding| self.locate(finding)));
        }
        if errors.is_empty() {
            return Ok(self.config);
        }
        errors.sort_by_key(|error| (error.line, error.column));
        Err(unchanged(errors))
    }

    /// A finding about the configuration, at the line that it is about: where that was there before,
    /// at the line that it is in conflict with.
    pub fn locate(&self, mut finding: Finding) -> Error {
        let with = finding.with.as_ref().and_then(|item| self.origins.get(item)).copied();
        let at = self.origins.get(&finding.at).copied();
        finding.with_line = at.and(with).map(|place| place.line);
        let place = at.or(with);
        Error {
            line: place.map(|place| place.line),
            column: place.map(|place| place.column),
            problem: Problem::Invalid(Box::new(finding)),
        }
    }

    fn take(&mut self, line: &[u8]) {
        let sentence = match text_of(line).and_then(|line| parse(line, FILE)) {
            Ok(Some(sentence)) => sentence,
            Ok(None) => return,
            Err(error) => return self.errors.push(error.on_line(self.lines)),
        };
        // The root of files has no other sentences than `set …`.
        if let Some(Statement::Set(setting)) = Statement::of(&sentence) {
            self.set(&setting, &sentence);
        }
    }

    fn set(&mut self, setting: &Setting, sentence: &Sentence) {
        if self.config.things() >= THINGS_MAX {
            return self.stop(Problem::TooManyThings { max: THINGS_MAX });
        }
        let line = self.lines;
        for (item, column) in items(setting, sentence) {
            let shared =
                matches!(item, Item::Port(_) | Item::Guest(_) | Item::Service(_) | Item::Real(..));
            match self.origins.get(&item) {
                None => {
                    self.origins.insert(item, Place { line, column });
                }
                Some(first) if !shared => {
                    let problem = Problem::StatedBefore { what: Box::new(item), line: first.line };
                    self.errors.push(Error::at(column, problem).on_line(line));
                }
                Some(_) => {}
            }
        }
        self.config.set(setting);
    }

    fn stop(&mut self, problem: Problem) {
        self.errors.push(Error::whole(problem).on_line(self.lines));
        self.is_over = true;
    }
}

/// What a setting states, and at which column.
fn items(setting: &Setting, sentence: &Sentence) -> Vec<(Item, usize)> {
    let said = sentence.said.iter();
    said.filter_map(|said| Some((item(setting, &said.value)?, said.column))).collect()
}

/// What a value of a setting states.
fn item(setting: &Setting, value: &Value) -> Option<Item> {
    Some(match (setting, value) {
        (Setting::Hostname(_), Value::Hostname(_)) => Item::Hostname,
        (Setting::Flows(_), Value::Flows(_)) => Item::Flows,
        (Setting::MacAgeing(_), Value::Ageing(_)) => Item::MacAgeing,
        (
            Setting::Port { port, .. }
            | Setting::PortRule { port, .. }
            | Setting::PortDescription { port, .. },
            Value::Port(_),
        ) => Item::Port(port.clone()),
        (Setting::PortDescription { port, .. }, _) => Item::PortDescription(port.clone()),
        (Setting::Address(said), Value::OwnAddress(_) | Value::Choice(_)) => {
            Item::Address(Some(said.version()))
        }
        (Setting::Groups(said), Value::Choice(_)) => Item::Groups(said.part()),
        (Setting::Port { port, .. }, Value::Choice(_)) => Item::PortRole(port.clone()),
        (Setting::PortRule { port, rule }, value) if rule.part().begins(value) => {
            Item::PortPart(port.clone(), rule.part())
        }
        (Setting::Mirror { name, .. }, Value::Mirror(_)) => Item::Mirror(name.clone()),
        (Setting::Mac { mac, .. }, Value::Mac(_)) => Item::Mac(*mac),
        (Setting::Port { port, .. }, Value::Pci(_) | Value::Mac(_)) => {
            Item::PortMatch(port.clone())
        }
        (Setting::Guest { guest, .. }, Value::Guest(_)) => Item::Guest(guest.clone()),
        (Setting::Guest { guest, .. }, Value::Port(_)) => Item::GuestPort(guest.clone()),
        (Setting::Guest { guest, .. }, Value::Mac(_)) => Item::GuestMac(guest.clone()),
        (Setting::Guest { guest, .. }, Value::Address(address)) => {
            Item::GuestAddress(guest.clone(), *address)
        }
        (Setting::Guest { guest, .. }, Value::ProbeSource(source)) => {
            Item::GuestProbeSource(guest.clone(), *source)
        }
        (Setting::Guest { guest, .. }, Value::Choice(Choice::Trust(trust))) => {
            Item::GuestTrust(guest.clone(), *trust)
        }
        (Setting::Guest { guest, .. }, Value::Description(_)) => {
            Item::GuestDescription(guest.clone())
        }
        (Setting::Service { service, .. } | Setting::Real { service, .. }, Value::Service(_)) => {
            Item::Service(service.clone())
        }
        (Setting::Service { service, setting }, value) if begins(setting.part(), value) => {
            Item::Part(service.clone(), setting.part())
        }
        (Setting::Real { service, guest, .. }, value) => {
            let (service, guest) = (service.clone(), guest.clone());
            match value {
                Value::Guest(_) => Item::Real(service, guest),
                Value::L4Port(_) => Item::RealPort(service, guest),
                Value::Weight(_) => Item::RealWeight(service, guest),
                Value::FlowsMax(_) => Item::RealFlowsMax(service, guest),
                Value::Choice(_) => Item::RealCheck(service, guest),
                _ => return None,
            }
        }
        _ => return None,
    })
}

/// Whether a part of a service is said by this value, or begins with it.
fn begins(part: ServicePart, value: &Value) -> bool {
    match value {
        Value::Description(_) => part == ServicePart::Description,
        Value::Address(_) => part == ServicePart::Vip,
        Value::PrefixLen(_) | Value::PayloadOffset(_) => part == ServicePart::Persistence,
        Value::Guest(_) => part == ServicePart::Empty,
        Value::FlowsMax(_) => part == ServicePart::FlowsMax,
        Value::Time(_) => matches!(part, ServicePart::Idle | ServicePart::DrainTimeout),
        Value::SlowStart(_) => part == ServicePart::SlowStart,
        Value::Percent(_) => part == ServicePart::Panic,
        // Within a VIP it is the protocol.
        Value::Choice(_) => part != ServicePart::Vip,
        _ => false,
    }
}
