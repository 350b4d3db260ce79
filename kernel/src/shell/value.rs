//! Values in commands: their kinds, and how a text becomes one or is refused.
//!
//! Everything that can be known about a value by itself is checked here, once: a [`Value`] of
//! kind address is an address that a host may have, a port number is in range. What depends on
//! the rest of the configuration is for `config::check`.

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;
use core::net::IpAddr;
use core::num::{NonZeroU8, NonZeroU16, NonZeroU32};
use core::str::FromStr;
use core::time::Duration;

use drivers::pci::Address;
use lb::limits::PERSISTENCE_PAYLOAD_BYTES_MAX;
use lb::wire::ethernet::VLAN_MAX;
use lb::{Forwarding, MacAddr, Name, Protocol, RealSpec, Role, Scheduler, addr};

use crate::config::{FLOWS, parse_pci};

/// Kinds of values that are typed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Hostname,
    Port,
    Guest,
    Service,
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
    /// Leading bits of an address; those of a version are for `config::check`.
    PrefixLen,
    PayloadOffset,
    PayloadLen,
    Time,
    Lines,
    Text,
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
}

/// A value, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Hostname(Name),
    Port(Name),
    Guest(Name),
    Service(Name),
    Address(IpAddr),
    Mac(MacAddr),
    Pci(Address),
    L4Port(NonZeroU16),
    Weight(u16),
    FlowsMax(NonZeroU32),
    Flows(NonZeroU32),
    Vlan(u16),
    PrefixLen(u8),
    PayloadOffset(u16),
    PayloadLen(NonZeroU8),
    Time(Duration),
    Lines(usize),
    Text(String),
    Choice(Choice),
}

/// A time as the configuration says it: `300s`. It is read in minutes (`5m`), hours and days too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time(pub Duration);

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
const TIME_MAX: Duration = Duration::from_secs(7 * 86_400);

impl Kind {
    /// The placeholder that a person sees.
    pub const fn label(self) -> &'static str {
        match self {
            Kind::Hostname => "NAME",
            Kind::Port => "PORT",
            Kind::Guest | Kind::Real => "GUEST",
            Kind::Service => "SERVICE",
            Kind::Address => "ADDRESS",
            Kind::Mac => "MAC",
            Kind::Pci => "BB:DD.F",
            Kind::L4Port => "1..65535",
            Kind::Weight => "0..1000",
            Kind::FlowsMax => "1..4294967295",
            Kind::Flows => "1024..16777216",
            Kind::Vlan => "1..4094",
            Kind::PrefixLen => "1..128",
            Kind::PayloadOffset => "OFFSET",
            Kind::PayloadLen => "1..32",
            Kind::Time => "1s..7d",
            Kind::Lines => "LINES",
            Kind::Text => "TEXT",
        }
    }

    pub fn parse(self, text: &str) -> Result<Value, Misfit> {
        match self {
            Kind::Hostname => name(text, "a host name").map(Value::Hostname),
            Kind::Port => name(text, "a port's name").map(Value::Port),
            Kind::Guest | Kind::Real => name(text, "a guest's name").map(Value::Guest),
            Kind::Service => name(text, "a service's name").map(Value::Service),
            Kind::Address => address(text).map(Value::Address),
            Kind::Mac => mac(text).map(Value::Mac),
            Kind::Pci => pci(text).map(Value::Pci),
            Kind::L4Port => {
                ranged(text, "a port number", 1, NonZeroU16::MAX.get()).map(Value::L4Port)
            }
            Kind::Weight => ranged(text, "a weight", 0, RealSpec::WEIGHT_MAX).map(Value::Weight),
            Kind::FlowsMax => {
                ranged(text, "a number of flows", 1, NonZeroU32::MAX.get()).map(Value::FlowsMax)
            }
            Kind::Flows => {
                let (low, high) = FLOWS.into_inner();
                ranged(text, "a number of flows", low.into(), high).map(Value::Flows)
            }
            Kind::Vlan => ranged(text, "a VLAN", 1, VLAN_MAX).map(Value::Vlan),
            Kind::PrefixLen => ranged(text, "a prefix length", 1, 128u8).map(Value::PrefixLen),
            Kind::PayloadOffset => ranged(text, "an offset in a payload", 0, PAYLOAD_OFFSET_MAX)
                .map(Value::PayloadOffset),
            Kind::PayloadLen => {
                ranged(text, "a number of bytes", 1, PERSISTENCE_PAYLOAD_BYTES_MAX as u64)
                    .map(Value::PayloadLen)
            }
            Kind::Time => time(text).map(Value::Time),
            Kind::Lines => ranged(text, "a number of lines", 1, LINES_MAX)
                .map(|lines: NonZeroU32| Value::Lines(lines.get() as usize)),
            Kind::Text => Ok(Value::Text(text.to_string())),
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

/// A whole number and its unit.
fn time(text: &str) -> Result<Duration, Misfit> {
    let misfit = || Misfit::whole("a time such as 30s or 5m, 1s..7d");
    let (number, unit) = text.split_at(text.trim_end_matches(char::is_alphabetic).len());
    let unit_s = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(misfit()),
    };
    let number: u32 = ranged(number, "", 1, u32::MAX).map_err(|_| misfit())?;
    let time = Duration::from_secs(u64::from(number) * unit_s);
    if time > TIME_MAX { Err(misfit()) } else { Ok(time) }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}s", self.0.as_secs())
    }
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
    fn times_read_in_four_units_and_print_in_one() {
        let cases = [
            ("1s", "1s"),
            ("030s", "30s"),
            ("5m", "300s"),
            ("2h", "7200s"),
            ("7d", "604800s"),
            ("604800s", "604800s"),
        ];
        for (text, printed) in cases {
            let Ok(Value::Time(time)) = Kind::Time.parse(text) else { panic!("{text}") };
            assert_eq!(Time(time).to_string(), printed);
            assert_eq!(Kind::Time.parse(printed), Ok(Value::Time(time)));
        }
        let no_times = [
            "",
            "s",
            "0s",
            "5",
            "5x",
            "5 s",
            "-5s",
            "1.5s",
            "8d",
            "604801s",
            "5ss",
            "5ms",
            "4294967296s",
            "5\u{e9}",
        ];
        for text in no_times {
            assert_eq!(refusal(Kind::Time, text).0, "a time such as 30s or 5m, 1s..7d", "{text}");
        }
    }

    #[test]
    fn names_say_which_character() {
        assert_eq!(refusal(Kind::Guest, "1a").1.unwrap().0, 0);
        assert_eq!(refusal(Kind::Port, "a/b").1.unwrap().0, 1);
        assert_eq!(refusal(Kind::Service, &"a".repeat(32)).1.unwrap().0, 31);
    }
}
