//! `set mirror …`: which frames of a port go to another, as an operator says it.

use core::fmt;
use core::net::IpAddr;
use core::num::NonZeroU16;

use lb::switch::filter::Ends;
use lb::{Filter, Name, Proto, Way};

use super::print::clause;
use crate::shell::parse::Sentence;
use crate::shell::value::Choice;

/// One mirror, its name aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MirrorConfig {
    pub from: Name,
    pub to: Name,
    /// `None`: both.
    pub way: Option<Way>,
    pub filter: FilterConfig,
}

/// Which frames are wanted; of a service, by its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FilterConfig {
    pub host: Option<IpAddr>,
    pub l4_port: Option<NonZeroU16>,
    pub proto: Option<Proto>,
    pub service: Option<Name>,
    pub vlan: Option<u16>,
}

impl MirrorConfig {
    pub(super) fn of(said: &Sentence) -> Option<MirrorConfig> {
        let (from, to) = (said.port()?, said.destination()?);
        Some(MirrorConfig { from, to, way: way(said), filter: FilterConfig::of(said) })
    }
}

/// The way that a sentence names; both is what none is.
pub fn way(said: &Sentence) -> Option<Way> {
    let mut ways = said.choices().filter_map(|choice| match choice {
        Choice::Way(way) => Some(way),
        _ => None,
    });
    let first = ways.next();
    if ways.next().is_some() { None } else { first }
}

impl FilterConfig {
    pub fn of(said: &Sentence) -> FilterConfig {
        let proto = said.choices().find_map(|choice| match choice {
            Choice::Proto(proto) => Some(proto),
            _ => None,
        });
        let (host, l4_port, service) = (said.address(), said.l4_port(), said.service());
        FilterConfig { host, l4_port, proto, service, vlan: said.vlan() }
    }

    /// The filter that this comes to, where the service that it names has these ends.
    pub fn resolved(&self, ends: Option<Ends>) -> Filter {
        let l4_port = self.l4_port.map(NonZeroU16::get);
        Filter { vlan: self.vlan, proto: self.proto, host: self.host, l4_port, ends }
    }
}

/// The clauses behind the ports.
impl fmt::Display for FilterConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        clause(f, "host", &self.host)?;
        clause(f, "l4-port", &self.l4_port)?;
        clause(f, "proto", &self.proto.map(Proto::as_str))?;
        clause(f, "service", &self.service)?;
        clause(f, "vlan", &self.vlan)
    }
}

impl fmt::Display for MirrorConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let MirrorConfig { from, to, way, filter } = self;
        write!(f, "from {from} to {to}")?;
        way.map_or(Ok(()), |way| write!(f, " {}", way.as_str()))?;
        filter.fmt(f)
    }
}
