//! A configuration file: `set` lines, read whole.
//!
//! Nobody's editor is refused: CRLF, tabs, a byte-order mark and trailing blanks are all right.
//! Every error of the file is listed, not only the first. Statements of one thing on two lines
//! are an error too: in a file that was put together by hand the later line is a slip as often as
//! it is meant.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::{
    Config, ERRORS_MAX, Finding, Item, LINES_MAX, ServicePart, Setting, Site, Statement, check,
};
use crate::shell::parse::{Sentence, parse, text_of};
use crate::shell::problem::{Error, Problem, unchanged};
use crate::shell::tree::FILE;
use crate::shell::value::Value;

/// What a file said.
#[derive(Default)]
pub struct Reading {
    pub config: Config,
    /// What could not be read; the configuration is then only a part of what was meant.
    pub errors: Vec<Error>,
    /// Where each item was stated first.
    origins: BTreeMap<Item, Place>,
}

#[derive(Clone, Copy)]
struct Place {
    line: usize,
    column: usize,
}

/// The configuration in a file, if it holds together on this machine. One with errors is refused
/// whole: all of them come back.
pub fn load(text: &[u8], site: &Site) -> Result<Config, Vec<Error>> {
    let mut reading = read(text);
    let mut errors = core::mem::take(&mut reading.errors);
    if let Err(mut findings) = check(&reading.config, site) {
        if !errors.is_empty() {
            findings.retain(|finding| finding.stands_alone());
        }
        errors.extend(findings.into_iter().map(|finding| reading.locate(finding)));
    }
    if errors.is_empty() {
        return Ok(reading.config);
    }
    errors.sort_by_key(|error| (error.line, error.column));
    Err(unchanged(errors))
}

/// Reads a file to its end, or to the limit of its lines or its errors.
pub fn read(text: &[u8]) -> Reading {
    const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let mut reading = Reading::default();
    for (at, line) in text.split(|&byte| byte == b'\n').enumerate() {
        let number = at + 1;
        if number > LINES_MAX {
            reading.stop(number, Problem::TooManyLines { max: LINES_MAX });
            break;
        }
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        reading.line(number, line);
        if reading.errors.len() > ERRORS_MAX {
            reading.errors.truncate(ERRORS_MAX);
            reading.stop(number, Problem::TooManyErrors { max: ERRORS_MAX });
            break;
        }
    }
    reading
}

impl Reading {
    /// A finding about the configuration, at the line that it is about.
    pub fn locate(&self, mut finding: Finding) -> Error {
        let with = finding.with.as_ref().and_then(|item| self.origins.get(item)).copied();
        let at = self.origins.get(&finding.at).copied();
        finding.with_line = with.map(|place| place.line);
        Error {
            line: at.map(|place| place.line),
            column: at.map(|place| place.column),
            problem: Problem::Invalid(Box::new(finding)),
        }
    }

    fn line(&mut self, number: usize, line: &[u8]) {
        let sentence = match text_of(line).and_then(|line| parse(line, FILE)) {
            Ok(Some(sentence)) => sentence,
            Ok(None) => return,
            Err(error) => return self.errors.push(error.on_line(number)),
        };
        // The root of files has no other sentences than `set …`.
        if let Some(Statement::Set(setting)) = Statement::of(&sentence) {
            self.take(number, &setting, &sentence);
        }
    }

    fn take(&mut self, line: usize, setting: &Setting, sentence: &Sentence) {
        for (item, column) in items(setting, sentence) {
            let shared = matches!(item, Item::Guest(_) | Item::Service(_) | Item::Real(..));
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

    fn stop(&mut self, line: usize, problem: Problem) {
        self.errors.push(Error::whole(problem).on_line(line));
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
        (Setting::Port { port, .. }, Value::Port(_)) => Item::Port(port.clone()),
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
        Value::Address(_) => part == ServicePart::Vip,
        Value::PrefixLen(_) | Value::PayloadOffset(_) => part == ServicePart::Persistence,
        Value::Guest(_) => part == ServicePart::Empty,
        Value::FlowsMax(_) => part == ServicePart::FlowsMax,
        Value::Time(_) => part == ServicePart::Idle,
        Value::SlowStart(_) => part == ServicePart::SlowStart,
        Value::Percent(_) => part == ServicePart::Panic,
        // Within a VIP it is the protocol.
        Value::Choice(_) => part != ServicePart::Vip,
        _ => false,
    }
}
