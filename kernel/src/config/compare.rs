//! The difference of two configurations, line by line, as a person reads it.
//!
//! Both have their statements in the same order, by what they are about, so one pass over both
//! suffices. A statement that changed is taken away and made anew; the two lines stand together.

use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt;

use lb::Name;
use lb::wire::ip::Version;

use super::{Config, GroupPart, PortPart, ServicePart, Setting, Statement, StaticMac};

/// One line of a difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    Gone(Statement),
    New(Statement),
}

/// What a statement is about, in the order of [`Config::statements`].
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Subject<'a> {
    Hostname,
    Flows,
    MacAgeing,
    Address(Version),
    Groups(GroupPart),
    Port(&'a Name, OfPort),
    /// What it is in words, or all else.
    Guest(&'a Name, bool),
    Mac(StaticMac),
    Service(&'a Name, Aspect<'a>),
    Mirror(&'a Name),
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum OfPort {
    Description,
    Role,
    Rule(PortPart),
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Aspect<'a> {
    Part(ServicePart),
    Real(&'a Name),
}

/// What leads from `old` to `new`.
pub fn compare(old: &Config, new: &Config) -> Vec<Difference> {
    let (old, new) = (old.statements(), new.statements());
    let (mut old, mut new) = (old.into_iter().peekable(), new.into_iter().peekable());
    let mut differences = Vec::new();
    loop {
        let order = match (old.peek(), new.peek()) {
            (None, None) => return differences,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(gone), Some(made)) if gone == made => {
                old.next();
                new.next();
                continue;
            }
            (Some(gone), Some(made)) => subject(gone).cmp(&subject(made)),
        };
        if order.is_le() {
            differences.extend(old.next().map(Difference::Gone));
        }
        if order.is_ge() {
            differences.extend(new.next().map(Difference::New));
        }
    }
}

/// `None` comes first and is of nobody: a configuration's statements set something.
fn subject(statement: &Statement) -> Option<Subject<'_>> {
    let Statement::Set(setting) = statement else {
        return None;
    };
    Some(match setting {
        Setting::Hostname(_) => Subject::Hostname,
        Setting::Flows(_) => Subject::Flows,
        Setting::MacAgeing(_) => Subject::MacAgeing,
        Setting::Address(said) => Subject::Address(said.version()),
        Setting::Groups(said) => Subject::Groups(said.part()),
        Setting::PortDescription { port, .. } => Subject::Port(port, OfPort::Description),
        Setting::Port { port, .. } => Subject::Port(port, OfPort::Role),
        Setting::PortRule { port, rule } => Subject::Port(port, OfPort::Rule(rule.part())),
        Setting::Mirror { name, .. } => Subject::Mirror(name),
        Setting::Mac { mac, .. } => Subject::Mac(*mac),
        Setting::Guest { guest, description, .. } => Subject::Guest(guest, description.is_none()),
        Setting::Service { service, setting } => {
            Subject::Service(service, Aspect::Part(setting.part()))
        }
        Setting::Real { service, guest, .. } => Subject::Service(service, Aspect::Real(guest)),
    })
}

/// `- set …` or `+ set …`
impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Difference::Gone(statement) => write!(f, "- {statement}"),
            Difference::New(statement) => write!(f, "+ {statement}"),
        }
    }
}
