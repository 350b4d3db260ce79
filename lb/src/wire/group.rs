//! What hosts and routers say of multicast groups, be it by IGMP ([`super::igmp`]) or by MLD
//! ([`super::mld`]): the same things in two spellings.
//!
//! ```text
//!   a router asks      of all groups, of one, or of one and some of its sources
//!   a host reports     that it is in a group, or no longer: one by one in the older dialects, in
//!                      records that name sources too in the newer ones
//! ```
//!
//! Sources are read over: a host that wants some sources of a group is in the group. A message is read
//! to its end before anything of it is believed.

use core::time::Duration;

use super::{Address, bytes_at};
use crate::{DropReason, MacAddr};

/// How a host or a router speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dialect {
    /// RFC 1112, appendix I.
    Igmp1,
    /// RFC 2236.
    Igmp2,
    /// RFC 3376.
    Igmp3,
    /// RFC 2710.
    Mld1,
    /// RFC 3810.
    Mld2,
}

/// A message whose lengths and sum are right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    Query(Query),
    Report(Report<'a>),
}

/// What a router asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query {
    pub dialect: Dialect,
    /// Of one group; `None`: of all.
    pub group: Option<Address>,
    /// Only who wants some of its sources is to answer.
    pub is_of_sources: bool,
    /// That the answer changes nothing is said for routers that have it already.
    pub is_repeated: bool,
    /// Within this time hosts answer.
    pub response: Duration,
    /// So many messages may be lost.
    pub robustness: u8,
    /// How often all groups are asked for.
    pub interval: Duration,
}

/// What a host says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report<'a> {
    One(Dialect, Change),
    Many(Records<'a>),
}

/// What is said of one group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Somebody is in it.
    In(Address),
    /// Somebody is in it no longer.
    Out(Address),
}

/// Records of the newer dialects (RFC 3376 §4.2.4, RFC 3810 §5.2.4): type, length of what follows the
/// sources in 4 bytes, how many sources, group, sources. Their lengths hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Records<'a> {
    dialect: Dialect,
    count: u16,
    bytes: &'a [u8],
}

/// Bytes of a record before its group.
const RECORD_BYTES: usize = 4;

// Types of records.
const IS_INCLUDE: u8 = 1;
const IS_EXCLUDE: u8 = 2;
const TO_INCLUDE: u8 = 3;
const TO_EXCLUDE: u8 = 4;
const ALLOW_SOURCES: u8 = 5;

// What holds where a query does not say it (RFC 3376 §8, RFC 3810 §9).
pub const ROBUSTNESS: u8 = 2;
pub const INTERVAL: Duration = Duration::from_secs(125);
pub const RESPONSE: Duration = Duration::from_secs(10);
/// Within this time hosts answer whether they are still in a group that one has left.
pub const LAST_RESPONSE: Duration = Duration::from_secs(1);

impl Dialect {
    /// As people write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Dialect::Igmp1 => "IGMPv1",
            Dialect::Igmp2 => "IGMPv2",
            Dialect::Igmp3 => "IGMPv3",
            Dialect::Mld1 => "MLDv1",
            Dialect::Mld2 => "MLDv2",
        }
    }

    /// Bytes of a group's address.
    const fn address_bytes(self) -> usize {
        match self {
            Dialect::Igmp1 | Dialect::Igmp2 | Dialect::Igmp3 => 4,
            Dialect::Mld1 | Dialect::Mld2 => 16,
        }
    }
}

impl Change {
    pub const fn group(self) -> Address {
        match self {
            Change::In(group) | Change::Out(group) => group,
        }
    }
}

impl<'a> Report<'a> {
    pub const fn dialect(&self) -> Dialect {
        match self {
            Report::One(dialect, _) => *dialect,
            Report::Many(records) => records.dialect,
        }
    }

    /// What is said of each group, in the order of the words.
    pub fn changes(self) -> impl Iterator<Item = Change> + 'a {
        let (one, many) = match self {
            Report::One(_, change) => (Some(change), None),
            Report::Many(records) => (None, Some(records)),
        };
        let of_records = many.into_iter().flat_map(Records::walk).filter_map(|step| step.ok()?);
        one.into_iter().chain(of_records)
    }
}

impl<'a> Records<'a> {
    /// Reads `count` records over; none may be cut short, and each is of a group.
    pub(super) fn new(
        dialect: Dialect,
        count: u16,
        bytes: &'a [u8],
    ) -> Result<Records<'a>, DropReason> {
        let records = Records { dialect, count, bytes };
        records.walk().try_for_each(|step| step.map(|_| ()))?;
        Ok(records)
    }

    /// What each record says, if it says something that is looked at.
    fn walk(self) -> impl Iterator<Item = Result<Option<Change>, DropReason>> + 'a {
        let Records { dialect, count, bytes: mut rest } = self;
        (0..count).map(move |_| {
            let (record, behind) = split_record(dialect, rest)?;
            rest = behind;
            Ok(record)
        })
    }
}

/// What the first record says, and those behind it.
fn split_record(dialect: Dialect, bytes: &[u8]) -> Result<(Option<Change>, &[u8]), DropReason> {
    let cut_short = DropReason::GroupMessage;
    let [kind, auxiliary, n0, n1] = bytes_at(bytes, 0).ok_or(cut_short)?;
    let sources = usize::from(u16::from_be_bytes([n0, n1]));
    let address_bytes = dialect.address_bytes();
    let group = bytes.get(RECORD_BYTES..).and_then(|bytes| group_in(dialect, bytes));
    let len = RECORD_BYTES + address_bytes * (1 + sources) + usize::from(auxiliary) * 4;
    let (group, rest) = (group.ok_or(cut_short)?, bytes.get(len..).ok_or(cut_short)?);
    let change = match (kind, sources) {
        (IS_EXCLUDE | TO_EXCLUDE, _) | (IS_INCLUDE | TO_INCLUDE | ALLOW_SOURCES, 1..) => {
            Some(Change::In(group))
        }
        (TO_INCLUDE, 0) => Some(Change::Out(group)),
        // Who blocks a source may want others; a type that is not known is read over (RFC 3376
        // §4.2.12).
        _ => None,
    };
    Ok((change, rest))
}

/// The group whose address these bytes begin with; `None` if it is none.
pub(super) fn group_in(dialect: Dialect, bytes: &[u8]) -> Option<Address> {
    let address = address_in(dialect, bytes)?;
    is_group(address).then_some(address)
}

/// The address that these bytes begin with.
pub(super) fn address_in(dialect: Dialect, bytes: &[u8]) -> Option<Address> {
    match dialect.address_bytes() {
        4 => bytes_at(bytes, 0).map(u32::from_be_bytes).map(Address::v4),
        _ => bytes_at(bytes, 0).map(Address::v6),
    }
}

/// Whether an address is a group's: 224/4 and ff00::/8.
pub fn is_group(address: Address) -> bool {
    match address.is_v4() {
        true => address.v4_bits() >> 28 == 0xe,
        false => address.words()[0] >> 56 == 0xff,
    }
}

/// Whether a group is for the link alone: routing, neighbor discovery, being there at all. Nobody need
/// join those to hear them (RFC 4541 §2.1.2, §3): 224.0.0/24, and of IPv6 the scopes up to the link.
pub fn is_of_the_link(group: Address) -> bool {
    match group.is_v4() {
        true => group.v4_bits() >> 8 == 0xe0_0000,
        false => group.words()[0] >> 48 & 0xf <= 2,
    }
}

/// The MAC of a group (RFC 1112 §6.4, RFC 2464 §7).
pub fn mac_of(group: Address) -> MacAddr {
    let [.., a, b, c, d] = group.words()[1].to_be_bytes();
    match group.is_v4() {
        true => MacAddr([0x01, 0x00, 0x5e, b & 0x7f, c, d]),
        false => MacAddr([0x33, 0x33, a, b, c, d]),
    }
}

/// A time in eight bits (RFC 3376 §4.1.1, §4.1.7): from 128 on with an exponent.
pub(super) const fn decode_byte(code: u8) -> u32 {
    match code {
        0..128 => code as u32,
        _ => ((code & 0xf | 0x10) as u32) << ((code >> 4 & 7) + 3),
    }
}

/// The code of a time, or of the next shorter one that has a code.
pub(super) const fn encode_byte(time: u32) -> u8 {
    let mut code = 0xff;
    while code > 0 && decode_byte(code) > time {
        code -= 1;
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn times_with_an_exponent() {
        for (code, time) in [(0, 0), (1, 1), (127, 127), (128, 128), (0x8f, 248), (0xff, 31_744)] {
            assert_eq!(decode_byte(code), time, "{code}");
        }
        for code in 0..=u8::MAX {
            assert_eq!(encode_byte(decode_byte(code)), code);
        }
        assert_eq!(decode_byte(encode_byte(131)), 128, "never longer than what is meant");
        assert_eq!(encode_byte(u32::MAX), 0xff);
    }

    #[test]
    fn groups_and_their_macs() {
        let v4 = |text: &str| Address::from(text.parse::<core::net::Ipv4Addr>().unwrap());
        let v6 = |text: &str| Address::from(text.parse::<core::net::Ipv6Addr>().unwrap());
        assert_eq!(mac_of(v4("239.129.2.3")), MacAddr([1, 0, 0x5e, 1, 2, 3]));
        assert_eq!(mac_of(v6("ff05::1:2:3")), MacAddr([0x33, 0x33, 0, 2, 0, 3]));
        let cases = [
            (v4("224.0.0.251"), true, true),
            (v4("224.0.1.1"), true, false),
            (v4("239.255.255.250"), true, false),
            (v4("10.0.2.1"), false, false),
            (v6("ff01::1"), true, true),
            (v6("ff02::1:ff00:1"), true, true),
            (v6("ff12::8"), true, true),
            (v6("ff05::8"), true, false),
            (v6("ff3e::8000:1"), true, false),
        ];
        for (address, group, of_the_link) in cases {
            assert_eq!(is_group(address), group, "{address}");
            assert_eq!(group && is_of_the_link(address), of_the_link, "{address}");
        }
        assert!(!is_group(v6("fe80::1")));
    }

    #[test]
    fn what_records_say() {
        use Change::{In, Out};
        let group = Address::v4(0xef01_0203);
        let cases: [(&str, u8, u8, Option<Change>); 9] = [
            ("it includes nobody", 1, 0, None),
            ("it includes one", 1, 1, Some(In(group))),
            ("it excludes nobody", 2, 0, Some(In(group))),
            ("now it includes nobody", 3, 0, Some(Out(group))),
            ("now it includes two", 3, 2, Some(In(group))),
            ("now it excludes one", 4, 1, Some(In(group))),
            ("it allows one more", 5, 1, Some(In(group))),
            ("it blocks one", 6, 1, None),
            ("a type that nobody knows", 7, 1, None),
        ];
        for (what, kind, sources, said) in cases {
            let mut bytes = std::vec![kind, 1, 0, sources, 0xef, 1, 2, 3];
            bytes.resize(8 + 4 * usize::from(sources) + 4, 0);
            let records = Records::new(Dialect::Igmp3, 1, &bytes).unwrap();
            let changes = Report::Many(records).changes();
            assert_eq!(changes.collect::<Vec<_>>(), Vec::from_iter(said), "{what}");
            let cut = Records::new(Dialect::Igmp3, 1, &bytes[..bytes.len() - 1]);
            assert_eq!(cut, Err(DropReason::GroupMessage), "{what}, cut short");
        }
    }
}
