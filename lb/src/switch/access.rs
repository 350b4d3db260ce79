//! What a port may send to: a list of rules, of which the first that matches decides.
//!
//! A rule permits or denies destinations: a service, or addresses that begin alike, by all protocols
//! or by one, at all ports or at some. What no rule matches is denied, so a list that permits a few
//! things permits nothing else, and one that is to deny a few ends with a rule that permits all.
//!
//! A list is about what hosts say to each other. What belongs to being on a link is none of its
//! business: ARP, neighbor discovery, joining groups, asking for an address, and the switch's own
//! addresses. Nor are the answers of a guest that serves: who may call a service is said where he is.
//!
//! What is asked for every packet may not depend on how many rules there are, so a list is compiled
//! ([`Classes`]). Each field cuts its range of values into classes in which all values are alike to
//! every rule, and each class has a set of the rules that its values fit, a bit for each:
//!
//! ```text
//!   destination ──▶ class, by halving ──▶ 0110_1101 ┐
//!   protocol    ──▶ tcp, udp, other ────▶ 0100_1111 ┼─ and ─▶ 0100_0001 ──▶ the lowest is the first
//!   port        ──▶ class, by halving ──▶ 1100_0011 ┘
//! ```
//!
//! With 64 rules a packet takes at most 8 halvings for its address and 8 for its port.

use alloc::vec::Vec;
use core::net::IpAddr;
use core::ops::RangeInclusive;

use crate::limits::ACCESS_RULES_MAX;
use crate::wire::{Address, Endpoint};
use crate::{Name, Protocol};

/// One rule; those of a list are in the order of their numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessRule {
    pub number: u16,
    pub action: Action,
    pub to: Target,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Permit,
    Deny,
}

/// Which destinations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Any,
    /// The VIP, protocol and port of a service, in its VLAN.
    Service(Name),
    Hosts(Hosts),
}

/// Addresses, and how they are spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hosts {
    /// Of this address, so many leading bits.
    pub address: IpAddr,
    pub prefix_len: u8,
    /// All protocols, if none is named.
    pub transport: Option<Transport>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Icmp,
    /// At these ports; at all, if none is named.
    Of(Protocol, Option<Ports>),
}

/// From the first to the last of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    pub first: u16,
    pub last: u16,
}

/// What a packet is to a list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub vlan: u16,
    pub destination: Address,
    /// IANA protocol number.
    pub protocol: u8,
    /// `None` for one without ports, or that is a later fragment.
    pub port: Option<u16>,
}

/// The rules that a value fits, by their places: a bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct RuleSet(u64);

const _: () = assert!(ACCESS_RULES_MAX <= u64::BITS as usize);

/// A list, and what it was asked.
#[derive(Clone, Debug)]
pub struct AccessList {
    rules: Vec<AccessRule>,
    /// How often each decided.
    hits: Vec<u64>,
    /// How often none did.
    denied: u64,
    classes: Classes,
}

/// The classes of each field.
#[derive(Clone, Debug, Default)]
struct Classes {
    permits: RuleSet,
    /// Where each class of addresses begins, the first one aside.
    addresses: Field<u128>,
    ports: Field<u16>,
    tcp: RuleSet,
    udp: RuleSet,
    icmp: RuleSet,
    /// Any other protocol.
    others: RuleSet,
    /// Rules that name no ports.
    portless: RuleSet,
    /// Rules for all VLANs, and those for one.
    everywhere: RuleSet,
    vlans: Vec<(u16, RuleSet)>,
}

/// One field cut into classes.
#[derive(Clone, Debug, Default)]
struct Field<T> {
    /// Where each class but the first begins.
    begins: Vec<T>,
    /// One more.
    rules: Vec<RuleSet>,
}

/// What a rule comes to once its service is looked up; `None` where it matches nothing.
struct Resolved {
    addresses: Option<(Address, Address)>,
    vlan: Option<u16>,
    transport: Option<Transport>,
}

impl Action {
    /// The word of the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Action::Permit => "permit",
            Action::Deny => "deny",
        }
    }
}

impl AccessList {
    /// A list of these rules; one that was there before goes on counting.
    pub(crate) fn new(rules: Vec<AccessRule>, before: Option<&AccessList>) -> AccessList {
        let known = |rule: &AccessRule| {
            let before = before?;
            let at = before.rules.iter().position(|its| its == rule)?;
            Some(before.hits[at])
        };
        let hits = rules.iter().map(|rule| known(rule).unwrap_or(0)).collect();
        let denied = before.map_or(0, |before| before.denied);
        AccessList { rules, hits, denied, classes: Classes::default() }
    }

    /// Every rule, and how often it decided.
    pub fn rules(&self) -> impl Iterator<Item = (&AccessRule, u64)> {
        self.rules.iter().zip(self.hits.iter().copied())
    }

    /// How often no rule matched.
    pub fn denied(&self) -> u64 {
        self.denied
    }

    /// Whether some rule is about a service, so that a change of it is one of the list.
    pub(crate) fn names_services(&self) -> bool {
        self.rules.iter().any(|rule| matches!(rule.to, Target::Service(_)))
    }

    /// Compiles the rules; `service` says where one is called, and in which VLAN.
    pub(crate) fn compile(&mut self, service: impl Fn(&Name) -> Option<(u16, Endpoint, Protocol)>) {
        let resolved = self.rules.iter().map(|rule| rule.to.resolve(&service));
        let resolved: Vec<Option<Resolved>> = resolved.collect();
        self.classes = Classes::of(&self.rules, &resolved);
    }

    /// The place of the rule that decides about a packet.
    #[inline]
    pub(crate) fn decides(&self, asked: &Asked) -> Option<usize> {
        self.classes.first(asked)
    }

    /// The same about a frame that is no packet: only a rule for all matches it.
    pub(crate) fn decides_other(&self) -> Option<usize> {
        self.rules.iter().position(|rule| rule.to == Target::Any)
    }

    pub(crate) fn permits(&self, place: Option<usize>) -> bool {
        place.is_some_and(|place| self.classes.permits.contains(place))
    }

    pub(crate) fn count(&mut self, place: Option<usize>) {
        match place {
            Some(place) => self.hits[place] += 1,
            None => self.denied += 1,
        }
    }
}

impl Target {
    fn resolve(
        &self,
        service: impl Fn(&Name) -> Option<(u16, Endpoint, Protocol)>,
    ) -> Option<Resolved> {
        Some(match self {
            Target::Any => Resolved { addresses: None, vlan: None, transport: None },
            Target::Service(name) => {
                let (vlan, end, protocol) = service(name)?;
                let port = Ports { first: end.port, last: end.port };
                Resolved {
                    addresses: Some((end.address, end.address)),
                    vlan: Some(vlan),
                    transport: Some(Transport::Of(protocol, Some(port))),
                }
            }
            Target::Hosts(hosts) => {
                let (addresses, transport) = (Some(hosts.range()), hosts.transport);
                Resolved { addresses, vlan: None, transport }
            }
        })
    }
}

impl Hosts {
    /// The first and the last address.
    fn range(&self) -> (Address, Address) {
        match self.address {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shr(self.prefix_len.into()).unwrap_or(0);
                let bits = address.to_bits();
                (Address::v4(bits & !mask), Address::v4(bits | mask))
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shr(self.prefix_len.into()).unwrap_or(0);
                let v6 = |bits: u128| Address::v6(bits.to_be_bytes());
                let bits = address.to_bits();
                (v6(bits & !mask), v6(bits | mask))
            }
        }
    }
}

impl Classes {
    fn of(rules: &[AccessRule], resolved: &[Option<Resolved>]) -> Classes {
        let places = |is_one: &dyn Fn(&Resolved) -> bool| -> RuleSet {
            let each = resolved.iter().enumerate();
            let those = each.filter(|(_, rule)| rule.as_ref().is_some_and(is_one));
            those.map(|(place, _)| place).collect()
        };
        let by = |protocol: Protocol| {
            places(&|rule| match rule.transport {
                None => true,
                Some(Transport::Of(its, _)) => its == protocol,
                Some(Transport::Icmp) => false,
            })
        };
        let ports_of = |rule: &Resolved| match rule.transport {
            Some(Transport::Of(_, ports)) => ports,
            Some(Transport::Icmp) | None => None,
        };
        let (mut addresses, mut ports) = (Vec::new(), Vec::new());
        let mut vlans: Vec<(u16, RuleSet)> = Vec::new();
        for (place, rule) in resolved.iter().enumerate() {
            let Some(rule) = rule else { continue };
            addresses.extend(spans(rule.addresses).map(|span| (place, span)));
            let all = Ports { first: 0, last: u16::MAX };
            let Ports { first, last } = ports_of(rule).unwrap_or(all);
            ports.push((place, first..=last));
            if let Some(vlan) = rule.vlan
                && !vlans.iter().any(|(its, _)| *its == vlan)
            {
                vlans.push((vlan, places(&|rule| rule.vlan == Some(vlan))));
            }
        }
        let permits = rules.iter().enumerate().filter(|(_, rule)| rule.action == Action::Permit);
        Classes {
            permits: permits.map(|(place, _)| place).collect(),
            addresses: Field::cut(&addresses, |last| last.checked_add(1)),
            ports: Field::cut(&ports, |last| last.checked_add(1)),
            tcp: by(Protocol::Tcp),
            udp: by(Protocol::Udp),
            icmp: places(&|rule| matches!(rule.transport, None | Some(Transport::Icmp))),
            others: places(&|rule| rule.transport.is_none()),
            portless: places(&|rule| ports_of(rule).is_none()),
            everywhere: places(&|rule| rule.vlan.is_none()),
            vlans,
        }
    }

    #[inline]
    fn first(&self, asked: &Asked) -> Option<usize> {
        const ICMP: u8 = 1;
        const ICMPV6: u8 = 58;
        let by_protocol = match asked.protocol {
            6 => self.tcp,
            17 => self.udp,
            ICMP | ICMPV6 => self.icmp,
            _ => self.others,
        };
        let by_port = match asked.port {
            Some(port) => self.ports.of(port),
            // A later fragment: what was said of the first holds for it, and alone it is nothing.
            None => self.portless.or(self.permits),
        };
        let of_vlan = self.vlans.iter().find(|(vlan, _)| *vlan == asked.vlan);
        let by_vlan = of_vlan.map_or(self.everywhere, |(_, rules)| rules.or(self.everywhere));
        let by_address = self.addresses.of(key(asked.destination));
        by_address.and(by_protocol).and(by_port).and(by_vlan).first()
    }
}

impl<T: Copy + Ord + Default> Field<T> {
    /// Cuts a field where a rule's span begins or has ended.
    fn cut(spans: &[(usize, RangeInclusive<T>)], after: impl Fn(T) -> Option<T>) -> Field<T> {
        let ends = spans.iter().filter_map(|(_, span)| after(*span.end()));
        let mut begins: Vec<T> = spans.iter().map(|(_, span)| *span.start()).chain(ends).collect();
        begins.sort_unstable();
        begins.dedup();
        begins.retain(|begin| *begin != T::default());
        let of = |value: T| -> RuleSet {
            let those = spans.iter().filter(|(_, span)| span.contains(&value));
            those.map(|(place, _)| *place).collect()
        };
        let rules = [T::default()].iter().chain(&begins).map(|&value| of(value)).collect();
        Field { begins, rules }
    }

    #[inline]
    fn of(&self, value: T) -> RuleSet {
        let class = self.begins.partition_point(|begin| *begin <= value);
        self.rules.get(class).copied().unwrap_or_default()
    }
}

impl RuleSet {
    const fn contains(self, place: usize) -> bool {
        self.0 & 1 << place != 0
    }

    const fn and(self, other: RuleSet) -> RuleSet {
        RuleSet(self.0 & other.0)
    }

    const fn or(self, other: RuleSet) -> RuleSet {
        RuleSet(self.0 | other.0)
    }

    const fn first(self) -> Option<usize> {
        match self.0 {
            0 => None,
            bits => Some(bits.trailing_zeros() as usize),
        }
    }
}

impl FromIterator<usize> for RuleSet {
    fn from_iter<I: IntoIterator<Item = usize>>(places: I) -> Self {
        places.into_iter().fold(RuleSet::default(), |set, place| RuleSet(set.0 | 1 << place))
    }
}

/// An address as a number; those of IPv4 lie where no IPv6 address is ([`crate::wire::address`]).
const fn key(address: Address) -> u128 {
    let [high, low] = address.words();
    (high as u128) << 64 | low as u128
}

/// The numbers of these addresses, or all: a span of IPv6 goes around those of IPv4.
fn spans(addresses: Option<(Address, Address)>) -> impl Iterator<Item = RangeInclusive<u128>> {
    let v4 = key(Address::v4(0))..=key(Address::v4(u32::MAX));
    let (span, hole) = match addresses {
        None => (0..=u128::MAX, None),
        Some((first, last)) if first.is_v4() => (key(first)..=key(last), None),
        Some((first, last)) => {
            let span = key(first)..=key(last);
            let holds = span.contains(v4.start()) && span.contains(v4.end());
            (span, holds.then_some(v4))
        }
    };
    let halves = match hole {
        None => [Some(span), None],
        Some(hole) => {
            let (before, behind) = (*hole.start() - 1, *hole.end() + 1);
            [Some(*span.start()..=before), Some(behind..=*span.end())]
        }
    };
    halves.into_iter().flatten()
}

#[cfg(test)]
mod tests;
