//! Values in commands: their kinds, and how a text becomes one or is refused.
//!
//! Everything that can be known about a value by itself is checked here, once: a [`Value`] of
//! kind address is an address that a host may have, a port number is in range. What depends on
//! the rest of the configuration is for `config::check`.

mod answer;
mod frame;
mod prefix;
mod rate;
mod time;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::num::{NonZeroU8, NonZeroU16, NonZeroU32};
use core::str::FromStr;
use core::time::Duration;

use drivers::pci::Address;
use lb::flow::FlowState;
use lb::limits::PERSISTENCE_PAYLOAD_BYTES_MAX;
use lb::service::check::Path;
use lb::switch::mtu::Mtu;
use lb::switch::vlan::VlanError;
use lb::wire::ethernet::{self, VLAN_MAX};
use lb::wire::ip::Version;
use lb::{
    Expect, Forwarding, Lldp, MacAddr, Name, OnDown, Proto, Protocol, RealSpec, Role, Scheduler,
    Trust, VlanSet, Way, addr, switch::access,
};

pub use prefix::Prefix;
pub use rate::{FrameRate, Rate};
pub use time::Time;

use self::time::{AGEING, INTERVAL, LIFETIME, LOOK, RAMP, TIMEOUT};
use crate::capture::{FRAMES_MAX, SNAP_BYTES_MAX};
use crate::config::archive::{COMMENT_CHARS_MAX, COMMITS_MAX};
use crate::config::{Asking, Description, FLOWS, is_unseen, parse_pci};

/// Kinds of values that are typed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Hostname,
    Port,
    Guest,
    Service,
    Mirror,
    /// The port that a mirror leads to.
    Destination,
    /// A guest that is a real of the service named before.
    Real,
    /// An address that a host may have.
    Address,
    /// A MAC that a station may have.
    Mac,
    Pci,
    L4Port,
    Weight,
    FlowsMax,
    /// Flows that the flow table has places for.
    Flows,
    Vlan,
    /// VLANs of a trunk.
    Vlans,
    /// A group of ports.
    Group,
    /// MACs that may be known behind a port.
    MacsMax,
    /// Bytes of a packet.
    Mtu,
    /// Bits or frames a second.
    Rate,
    FrameRate,
    /// Frames a second, or as many as come.
    StormRate,
    Broadcasts,
    Multicasts,
    Unknowns,
    /// The number of an access rule.
    RuleNumber,
    /// Ports that somebody may be spoken to at.
    Ports,
    /// How long a MAC may be silent.
    Ageing,
    /// Leading bits of an address; those of a version are for `config::check`.
    PrefixLen,
    PayloadOffset,
    PayloadLen,
    Time,
    /// An address that a host may have, but that no guest has.
    ProbeSource,
    /// An address that a host may have in its network, and how long that network's prefix is.
    OwnAddress,
    Gateway,
    /// Echo requests.
    Echoes,
    Path,
    Expect,
    /// Where a check asks, which need not be where clients call.
    CheckPort,
    Interval,
    Timeout,
    /// Successes in a row.
    Rise,
    /// Failures in a row.
    Fall,
    SlowStart,
    Percent,
    /// One end of a flow: an address and a port.
    End,
    /// Addresses that begin alike.
    Prefix,
    /// A place in the flow table.
    Place,
    /// The bytes of a frame.
    Frame,
    FrameLen,
    /// Frames that are captured, and bytes of each.
    Frames,
    SnapBytes,
    /// How long somebody looks on.
    Look,
    Lines,
    Text,
    /// A configuration that ran: how many commits ago.
    Back,
    Comment,
    /// Rows of a terminal.
    Rows,
    Description,
}

/// Words that are values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    Role(Role),
    Protocol(Protocol),
    Scheduler(Scheduler),
    Forwarding(Forwarding),
    /// What a client hears whom no real can take.
    Drop,
    Reset,
    OnePacket,
    OnDown(OnDown),
    Access,
    Trunk,
    /// What an access rule does.
    Rule(access::Action),
    /// Every destination.
    Any,
    Icmp,
    PoliceIn,
    PoliceOut,
    Trust(Trust),
    Isolated,
    Standby,
    Locked,
    Lldp(Lldp),
    FastLeave,
    Querier,
    Flood,
    Off,
    Check(Asking),
    State(FlowState),
    /// A server lends the address.
    Dhcp,
    Version(Version),
    /// How load reports come.
    Push,
    Pull,
    /// Nobody waits for open flows of reals that went.
    Now,
    /// Which frames are captured.
    Way(Way),
    Proto(Proto),
}

/// A value, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Hostname(Name),
    Port(Name),
    Guest(Name),
    Service(Name),
    Mirror(Name),
    Destination(Name),
    Address(IpAddr),
    Mac(MacAddr),
    Pci(Address),
    L4Port(NonZeroU16),
    Weight(u16),
    FlowsMax(NonZeroU32),
    Flows(NonZeroU32),
    Vlan(u16),
    Vlans(Box<VlanSet>),
    Group(Name),
    MacsMax(NonZeroU32),
    Mtu(Mtu),
    Rate(Rate),
    FrameRate(FrameRate),
    StormRate(Option<FrameRate>),
    Broadcasts(FrameRate),
    Multicasts(FrameRate),
    Unknowns(FrameRate),
    RuleNumber(u16),
    Ports(access::Ports),
    Ageing(Duration),
    PrefixLen(u8),
    PayloadOffset(u16),
    PayloadLen(NonZeroU8),
    Time(Duration),
    ProbeSource(IpAddr),
    OwnAddress(Prefix),
    Gateway(IpAddr),
    Echoes(u16),
    Path(Path),
    Expect(Expect),
    CheckPort(NonZeroU16),
    Interval(Duration),
    Timeout(Duration),
    Rise(NonZeroU8),
    Fall(NonZeroU8),
    SlowStart(Duration),
    Percent(u8),
    End(SocketAddr),
    Prefix(Prefix),
    Place(usize),
    Frame(Vec<u8>),
    FrameLen(u16),
    Frames(u16),
    SnapBytes(u16),
    Look(Duration),
    Lines(usize),
    Text(String),
    Back(usize),
    Comment(String),
    Rows(u16),
    Description(Description),
    Choice(Choice),
}

/// Why a text is no value of its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// What the text is not: "an IPv4 or IPv6 address".
    pub wanted: String,
    /// Which part of it is wrong and why, where that is known: offset in characters, reason.
    pub part: Option<(usize, String)>,
}

/// More lines than any `show` has.
const LINES_MAX: u64 = 1_000_000;
/// Where the last byte of the longest UDP payload is.
const PAYLOAD_OFFSET_MAX: u16 = 65_526;
/// Probes in a row that a check may wait for.
const IN_A_ROW_MAX: u8 = 100;
/// Of a terminal.
const ROWS_MAX: u16 = 1000;
/// Echo requests of one ping.
const ECHOES_MAX: u16 = 1000;
const BACK_MAX: u64 = COMMITS_MAX as u64 - 1;

impl Kind {
    /// The placeholder that a person sees.
    pub const fn label(self) -> &'static str {
        match self {
            Kind::Hostname => "NAME",
            Kind::Port | Kind::Destination => "PORT",
            Kind::Guest | Kind::Real => "GUEST",
            Kind::Service => "SERVICE",
            Kind::Mirror => "MIRROR",
            Kind::Address | Kind::ProbeSource | Kind::Gateway => "ADDRESS",
            Kind::OwnAddress => "ADDRESS/LENGTH",
            Kind::Mac => "MAC",
            Kind::Pci => "BB:DD.F",
            Kind::L4Port | Kind::CheckPort => "1..65535",
            Kind::Weight => "0..1000",
            Kind::FlowsMax => "1..4294967295",
            Kind::Flows => "1024..16777216",
            Kind::Vlan => "1..4094",
            Kind::Vlans => "VLAN[-VLAN][,…]",
            Kind::Group => "GROUP",
            Kind::MacsMax | Kind::RuleNumber => "1..65535",
            Kind::Mtu => "1280..9000",
            Kind::Rate => "N[k|M|G]bps|N[k|M]pps",
            Kind::FrameRate | Kind::Broadcasts | Kind::Multicasts | Kind::Unknowns => "N[k|M]pps",
            Kind::StormRate => "N[k|M]pps|off",
            Kind::Ports => "PORT[-PORT]",
            Kind::Ageing => AGEING.label,
            Kind::PrefixLen => "1..128",
            Kind::PayloadOffset => "OFFSET",
            Kind::PayloadLen => "1..32",
            Kind::Time => LIFETIME.label,
            Kind::Path => "/PATH",
            Kind::Expect => "STATUS|TEXT",
            Kind::Interval => INTERVAL.label,
            Kind::Timeout => TIMEOUT.label,
            Kind::Rise | Kind::Fall => "1..100",
            Kind::SlowStart => RAMP.label,
            Kind::Percent => "0%..100%",
            Kind::End => "ADDRESS:PORT",
            Kind::Prefix => "ADDRESS[/LENGTH]",
            Kind::Place => "PLACE",
            Kind::Frame => "HEX",
            Kind::FrameLen => "1..65535",
            Kind::Frames | Kind::Echoes => "1..1000",
            Kind::SnapBytes => "14..1514",
            Kind::Look => LOOK.label,
            Kind::Lines => "LINES",
            Kind::Text => "TEXT",
            Kind::Back => "0..19",
            Kind::Comment | Kind::Description => "\"TEXT\"",
            Kind::Rows => "0..1000",
        }
    }

    pub fn parse(self, text: &str) -> Result<Value, Misfit> {
        match self {
            Kind::Hostname => name(text, "a host name").map(Value::Hostname),
            Kind::Port => name(text, "a port's name").map(Value::Port),
            Kind::Guest | Kind::Real => name(text, "a guest's name").map(Value::Guest),
            Kind::Service => name(text, "a service's name").map(Value::Service),
            Kind::Mirror => name(text, "a mirror's name").map(Value::Mirror),
            Kind::Destination => name(text, "a port's name").map(Value::Destination),
            Kind::Address => address(text).map(Value::Address),
            Kind::Mac => mac(text).map(Value::Mac),
            Kind::Pci => pci(text).map(Value::Pci),
            Kind::L4Port => port(text).map(Value::L4Port),
            Kind::Weight => ranged(text, "a weight", 0, RealSpec::WEIGHT_MAX).map(Value::Weight),
            Kind::FlowsMax => {
                ranged(text, "a number of flows", 1, NonZeroU32::MAX.get()).map(Value::FlowsMax)
            }
            Kind::Flows => {
                let (low, high) = FLOWS.into_inner();
                ranged(text, "a number of flows", low.into(), high).map(Value::Flows)
            }
            Kind::Vlan => ranged(text, "a VLAN", 1, VLAN_MAX).map(Value::Vlan),
            Kind::Vlans => vlans(text).map(Box::new).map(Value::Vlans),
            Kind::Group => name(text, "a group's name").map(Value::Group),
            Kind::MacsMax => ranged(text, "a number of MACs", 1, u16::MAX).map(Value::MacsMax),
            Kind::Mtu => mtu(text).map(Value::Mtu),
            Kind::Rate => Rate::parse(text).map(Value::Rate),
            Kind::FrameRate => FrameRate::parse(text).map(Value::FrameRate),
            Kind::StormRate => storm_rate(text).map(Value::StormRate),
            Kind::Broadcasts => FrameRate::parse(text).map(Value::Broadcasts),
            Kind::Multicasts => FrameRate::parse(text).map(Value::Multicasts),
            Kind::Unknowns => FrameRate::parse(text).map(Value::Unknowns),
            Kind::RuleNumber => ranged(text, "a rule's number", 1, u16::MAX).map(Value::RuleNumber),
            Kind::Ports => ports(text).map(Value::Ports),
            Kind::Ageing => AGEING.parse(text).map(Value::Ageing),
            Kind::PrefixLen => ranged(text, "a prefix length", 1, 128u8).map(Value::PrefixLen),
            Kind::PayloadOffset => ranged(text, "an offset in a payload", 0, PAYLOAD_OFFSET_MAX)
                .map(Value::PayloadOffset),
            Kind::PayloadLen => {
                ranged(text, "a number of bytes", 1, PERSISTENCE_PAYLOAD_BYTES_MAX as u64)
                    .map(Value::PayloadLen)
            }
            Kind::Time => LIFETIME.parse(text).map(Value::Time),
            Kind::ProbeSource => address(text).map(Value::ProbeSource),
            Kind::OwnAddress => Prefix::parse_own(text).map(Value::OwnAddress),
            Kind::Gateway => address(text).map(Value::Gateway),
            Kind::Echoes => ranged(text, "a number of echoes", 1, ECHOES_MAX).map(Value::Echoes),
            Kind::Path => answer::path(text).map(Value::Path),
            Kind::Expect => answer::expect(text).map(Value::Expect),
            Kind::CheckPort => port(text).map(Value::CheckPort),
            Kind::Interval => INTERVAL.parse(text).map(Value::Interval),
            Kind::Timeout => TIMEOUT.parse(text).map(Value::Timeout),
            Kind::Rise => in_a_row(text).map(Value::Rise),
            Kind::Fall => in_a_row(text).map(Value::Fall),
            Kind::SlowStart => RAMP.parse(text).map(Value::SlowStart),
            Kind::Percent => percent(text).map(Value::Percent),
            Kind::End => end(text).map(Value::End),
            Kind::Prefix => Prefix::parse(text).map(Value::Prefix),
            Kind::Place => ranged(text, "a place in the flow table", 0, u32::MAX)
                .map(|place: u32| Value::Place(place as usize)),
            Kind::Frame => frame::frame(text).map(Value::Frame),
            Kind::FrameLen => ranged(text, "a number of bytes", 1, u16::MAX).map(Value::FrameLen),
            Kind::Frames => ranged(text, "a number of frames", 1, FRAMES_MAX).map(Value::Frames),
            Kind::SnapBytes => {
                let low = ethernet::HEADER_BYTES as u64;
                ranged(text, "a number of bytes", low, SNAP_BYTES_MAX).map(Value::SnapBytes)
            }
            Kind::Look => LOOK.parse(text).map(Value::Look),
            Kind::Lines => ranged(text, "a number of lines", 1, LINES_MAX)
                .map(|lines: NonZeroU32| Value::Lines(lines.get() as usize)),
            Kind::Text => Ok(Value::Text(text.to_string())),
            Kind::Back => ranged(text, "a number of commits", 0, BACK_MAX)
                .map(|back: u8| Value::Back(back.into())),
            Kind::Comment => {
                prose(text, "a comment", COMMENT_CHARS_MAX).map(str::to_string).map(Value::Comment)
            }
            Kind::Description => {
                let said = prose(text, "a description", Description::CHARS_MAX)?;
                let description = Description::new(said);
                description.map(Value::Description).ok_or_else(|| Misfit::whole("a description"))
            }
            Kind::Rows => ranged(text, "a number of rows", 0, ROWS_MAX).map(Value::Rows),
        }
    }
}

impl Misfit {
    fn whole(wanted: &str) -> Misfit {
        Misfit { wanted: wanted.to_string(), part: None }
    }

    fn part(wanted: &str, offset: usize, reason: String) -> Misfit {
        Misfit { wanted: wanted.to_string(), part: Some((offset, reason)) }
    }
}

fn name(text: &str, wanted: &str) -> Result<Name, Misfit> {
    text.parse().map_err(|error: lb::name::NameError| {
        let offset = match error {
            lb::name::NameError::Character { at } => text[..at].chars().count(),
            lb::name::NameError::Empty => 0,
            lb::name::NameError::TooLong => Name::BYTES_MAX,
        };
        Misfit::part(wanted, offset, error.to_string())
    })
}

/// A number in `low..=high`. `T` must be able to hold every one of them; it parses without wrap.
fn ranged<T: FromStr>(text: &str, what: &str, low: u64, high: impl Into<u64>) -> Result<T, Misfit> {
    let high = high.into();
    let wanted = format!("{what}, {low}..{high}");
    if let Some((offset, odd)) = text.chars().enumerate().find(|(_, c)| !c.is_ascii_digit()) {
        return Err(Misfit::part(&wanted, offset, format!("'{odd}' is no digit")));
    }
    let in_range = text.parse::<u64>().is_ok_and(|number| (low..=high).contains(&number));
    match text.parse() {
        Ok(number) if in_range => Ok(number),
        _ => Err(Misfit::whole(&wanted)),
    }
}

fn mtu(text: &str) -> Result<Mtu, Misfit> {
    const WHAT: &str = "a packet's bytes";
    let (low, high) = (Mtu::MIN.get(), Mtu::MAX.get());
    let bytes = ranged(text, WHAT, low.into(), high)?;
    Mtu::new(bytes).ok_or_else(|| Misfit::whole(&format!("{WHAT}, {low}..{high}")))
}

fn vlans(text: &str) -> Result<VlanSet, Misfit> {
    let wanted = "a list of VLANs such as 10,20,30-39";
    text.parse().map_err(|error: VlanError| match error {
        VlanError::NotANumber => Misfit::whole(wanted),
        VlanError::OutOfRange | VlanError::Backwards => Misfit::part(wanted, 0, error.to_string()),
    })
}

fn port(text: &str) -> Result<NonZeroU16, Misfit> {
    ranged(text, "a port number", 1, NonZeroU16::MAX.get())
}

fn storm_rate(text: &str) -> Result<Option<FrameRate>, Misfit> {
    match text {
        "off" => Ok(None),
        text => FrameRate::parse(text).map(Some),
    }
}

/// One, or from the first to the last.
fn ports(text: &str) -> Result<access::Ports, Misfit> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let [first, last] = [first, last].map(|port| ranged(port, "", 1, NonZeroU16::MAX.get()).ok());
    match first.zip(last) {
        Some((first, last)) if first <= last => Ok(access::Ports { first, last }),
        Some(_) | None => Err(Misfit::whole("a port, or some such as 8000-8099")),
    }
}

fn in_a_row(text: &str) -> Result<NonZeroU8, Misfit> {
    ranged(text, "a number of probes in a row", 1, IN_A_ROW_MAX)
}

fn percent(text: &str) -> Result<u8, Misfit> {
    let number = text.strip_suffix('%').and_then(|number| ranged(number, "", 0, 100u8).ok());
    number.ok_or_else(|| Misfit::whole("a part such as 40%, 0%..100%"))
}

/// What is for people to read: a word, or more of them in quotes.
fn prose<'a>(text: &'a str, what: &str, chars_max: usize) -> Result<&'a str, Misfit> {
    let wanted = format!("{what}, 1..{chars_max} characters, in quotes if it has blanks");
    let (said, offset) = match text.strip_prefix('"') {
        None => (text, 0),
        Some(quoted) => match quoted.strip_suffix('"') {
            Some(said) => (said, 1),
            None => return Err(Misfit::part(&wanted, 0, "this quote is not closed".to_string())),
        },
    };
    if let Some((at, unseen)) = said.chars().enumerate().find(|(_, c)| is_unseen(*c)) {
        let reason = format!("U+{:04X} cannot be seen", u32::from(unseen));
        return Err(Misfit::part(&wanted, offset + at, reason));
    }
    let said = said.trim_matches(' ');
    match (1..=chars_max).contains(&said.chars().count()) {
        true => Ok(said),
        false => Err(Misfit::whole(&wanted)),
    }
}

fn address(text: &str) -> Result<IpAddr, Misfit> {
    let Ok(address) = text.parse() else {
        let wanted = "an IPv4 or IPv6 address".to_string();
        return Err(Misfit { wanted, part: wrong_octet(text) });
    };
    if !addr::is_host_address(address) {
        return Err(Misfit::whole("an address that a host may have"));
    }
    Ok(address)
}

fn end(text: &str) -> Result<SocketAddr, Misfit> {
    let example = "an address and a port such as 192.0.2.9:40000 or [2001:db8::9]:40000";
    let end: SocketAddr = text.parse().map_err(|_| Misfit::whole(example))?;
    // A zone would be lost: a switch has no interfaces of its own to tell apart.
    match end.port() != 0 && addr::is_host_address(end.ip()) && !text.contains('%') {
        true => Ok(end),
        false => Err(Misfit::whole("an end of a flow: a host's address and a port, 1..65535")),
    }
}

/// The first octet that spoils what looks like an IPv4 address.
fn wrong_octet(text: &str) -> Option<(usize, String)> {
    if !text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return None;
    }
    let mut offset = 0;
    for octet in text.split('.') {
        // A leading zero is octal to some readers and decimal to others.
        let plain = octet == "0" || !octet.starts_with('0');
        if !plain || octet.parse::<u8>().is_err() {
            return Some((offset, format!("'{octet}' is no octet, 0..255")));
        }
        offset += octet.len() + 1;
    }
    None
}

fn mac(text: &str) -> Result<MacAddr, Misfit> {
    let Ok(mac) = text.parse::<MacAddr>() else {
        return Err(Misfit::whole("a MAC address such as 52:54:00:aa:00:01"));
    };
    if !mac.is_station() {
        let reason = if mac.is_group() { "it is a group address" } else { "it is all zero" };
        return Err(Misfit::part("a MAC that a station may have", 0, reason.to_string()));
    }
    Ok(mac)
}

fn pci(text: &str) -> Result<Address, Misfit> {
    parse_pci(text).ok_or_else(|| Misfit::whole("a PCI address such as 00:02.0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(kind: Kind, text: &str) -> (String, Option<(usize, String)>) {
        let misfit = kind.parse(text).unwrap_err();
        (misfit.wanted, misfit.part)
    }

    #[test]
    fn c1_an_address_says_which_octet() {
        let wanted = "an IPv4 or IPv6 address".to_string();
        let cases: [(&str, Option<(usize, &str)>); 7] = [
            ("10.0.0.300", Some((7, "'300' is no octet, 0..255"))),
            ("10.0..1", Some((5, "'' is no octet, 0..255"))),
            ("10.0.01.1", Some((5, "'01' is no octet, 0..255"))),
            ("99999999999999999999.1.1.1", Some((0, "'99999999999999999999' is no octet, 0..255"))),
            ("10.0.0", None),
            ("ten", None),
            ("fd00::1::2", None),
        ];
        for (text, part) in cases {
            let part = part.map(|(at, reason)| (at, reason.to_string()));
            assert_eq!(refusal(Kind::Address, text), (wanted.clone(), part), "{text}");
        }
        for text in ["0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255", "::", "ff02::1"] {
            assert_eq!(refusal(Kind::Address, text).0, "an address that a host may have", "{text}");
        }
    }

    #[test]
    fn c2_c6_c7_numbers_never_wrap() {
        let port = "a port number, 1..65535".to_string();
        for text in ["0", "65536", "18446744073709551617", "99999999999999999999999"] {
            assert_eq!(refusal(Kind::L4Port, text), (port.clone(), None), "{text}");
        }
        for (text, at, odd) in [("8O", 1, 'O'), ("-1", 0, '-'), ("+1", 0, '+'), ("1e9", 1, 'e')] {
            let part = Some((at, format!("'{odd}' is no digit")));
            assert_eq!(refusal(Kind::L4Port, text), (port.clone(), part), "{text}");
        }
        assert_eq!(Kind::L4Port.parse("65535"), Ok(Value::L4Port(NonZeroU16::MAX)));
        assert_eq!(Kind::Weight.parse("0"), Ok(Value::Weight(0)));
        assert_eq!(refusal(Kind::Weight, "1001").0, "a weight, 0..1000");
        assert_eq!(Kind::FlowsMax.parse("4294967295"), Ok(Value::FlowsMax(NonZeroU32::MAX)));
        assert_eq!(refusal(Kind::FlowsMax, "4294967296").0, "a number of flows, 1..4294967295");
        assert_eq!(refusal(Kind::Lines, "0").0, "a number of lines, 1..1000000");
    }

    #[test]
    fn c5_a_mac_is_a_stations() {
        let station = "a MAC that a station may have";
        assert_eq!(
            refusal(Kind::Mac, "02:00:00:00:00").0,
            "a MAC address such as 52:54:00:aa:00:01"
        );
        let group = Some((0, "it is a group address".to_string()));
        assert_eq!(refusal(Kind::Mac, "01:00:5e:00:00:01"), (station.to_string(), group));
        let zero = Some((0, "it is all zero".to_string()));
        assert_eq!(refusal(Kind::Mac, "00:00:00:00:00:00"), (station.to_string(), zero));
    }

    #[test]
    fn a_part_of_all_has_its_sign() {
        assert_eq!(Kind::Percent.parse("0%"), Ok(Value::Percent(0)));
        assert_eq!(Kind::Percent.parse("100%"), Ok(Value::Percent(100)));
        for text in ["40", "%", "101%", "-1%", "4 0%", "40%%", "0.4%"] {
            assert_eq!(refusal(Kind::Percent, text).0, "a part such as 40%, 0%..100%", "{text}");
        }
        assert_eq!(refusal(Kind::Rise, "0").0, "a number of probes in a row, 1..100");
        assert_eq!(refusal(Kind::Fall, "101").0, "a number of probes in a row, 1..100");
    }

    #[test]
    fn what_people_read_is_seen_and_not_too_long() {
        let part = |at: usize, reason: &str| Some((at, reason.to_string()));
        let cases = [
            ("\"a\tb\"", part(2, "U+0009 cannot be seen")),
            ("\"\u{e9}\u{202e}x\"", part(2, "U+202E cannot be seen")),
            ("x\u{7f}", part(1, "U+007F cannot be seen")),
            ("\"open", part(0, "this quote is not closed")),
            ("\"", part(0, "this quote is not closed")),
            ("\"\"", None),
            ("\"  \"", None),
            (&"x".repeat(65), None),
        ];
        for (text, part) in cases {
            let wanted = "a description, 1..64 characters, in quotes if it has blanks";
            let refusal = refusal(Kind::Description, text);
            assert_eq!(refusal, (wanted.to_string(), part), "{text:?}");
        }
        let longest = "\u{6771}".repeat(64);
        for (text, printed) in [
            ("web", "web"),
            ("\"web\"", "web"),
            ("\" a  b \"", "\"a  b\""),
            ("\"#1\"", "\"#1\""),
            ("say\"so\"", "say\"so\""),
            (&longest, &longest),
        ] {
            let Ok(Value::Description(description)) = Kind::Description.parse(text) else {
                panic!("{text}");
            };
            assert_eq!(description.to_string(), printed);
        }
    }

    #[test]
    fn names_say_which_character() {
        assert_eq!(refusal(Kind::Guest, "1a").1.unwrap().0, 0);
        assert_eq!(refusal(Kind::Port, "a/b").1.unwrap().0, 1);
        assert_eq!(refusal(Kind::Service, &"a".repeat(32)).1.unwrap().0, 31);
    }
}
