//! IGMP (RFC 1112, 2236, 3376): what is said of IPv4's groups.
//!
//! ```text
//!   type, time to answer, sum │ group │ a query of version 3: flags, interval, sources
//!   type, 0, sum │ 0, records │ records                         a report of version 3
//! ```
//!
//! It is believed from this link alone (TTL 1), whole, with the right sums. The router alert that each
//! message is to carry tells routers to look; old hosts leave it out, so nothing depends on it here.

use core::net::Ipv4Addr;
use core::time::Duration;

use super::checksum::Sum;
use super::group::{
    Change, Dialect, INTERVAL, Message, Query, RESPONSE, ROBUSTNESS, Records, Report, address_in,
    decode_byte, encode_byte, group_in,
};
use super::ip::Fragmentation;
use super::{Address, Ip, bytes_at, ipv4, put};
use crate::DropReason;

pub const PROTOCOL: u8 = 2;
/// All that have IP listen here.
pub const ALL_SYSTEMS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 1);

const QUERY: u8 = 0x11;
const REPORT_V1: u8 = 0x12;
const REPORT_V2: u8 = 0x16;
const LEAVE: u8 = 0x17;
const REPORT_V3: u8 = 0x22;

/// Bytes of the older messages.
const MESSAGE_BYTES: usize = 8;
/// Bytes of a query of version 3 before its sources.
const QUERY_BYTES: usize = 12;
const OPTION_ROUTER_ALERT: [u8; 4] = [148, 4, 0, 0];
/// A query of ours: IP header, router alert, message.
const PACKET_BYTES: usize = ipv4::HEADER_BYTES + OPTION_ROUTER_ALERT.len() + QUERY_BYTES;
/// Internetwork control (RFC 3376 §4).
const PRECEDENCE: u8 = 0xc0;

/// What an IGMP packet says; `None` if it is a message of another kind.
pub fn read<'a>(head: &'a [u8], ip: &Ip) -> Result<Option<Message<'a>>, DropReason> {
    let message = ip.payload(head);
    let kind = message.first();
    if !ip.is_later_part()
        && !matches!(kind, Some(&(QUERY | REPORT_V1 | REPORT_V2 | LEAVE | REPORT_V3)))
    {
        return Ok(None);
    }
    let is_whole = ip.fragment == Fragmentation::Whole && ip.end_at <= head.len();
    let wrong = DropReason::GroupMessage;
    if !is_whole || ip.ttl != 1 || Sum::default().bytes(message).checksum() != 0 {
        return Err(wrong);
    }
    ipv4::check(ip, head)?;
    let start: [u8; MESSAGE_BYTES] = bytes_at(message, 0).ok_or(wrong)?;
    let group = |dialect: Dialect| group_in(dialect, &start[4..]).ok_or(wrong);
    let one = |dialect, change| Some(Message::Report(Report::One(dialect, change)));
    Ok(match start[0] {
        QUERY => Some(Message::Query(query(message, &start).ok_or(wrong)?)),
        REPORT_V1 => one(Dialect::Igmp1, Change::In(group(Dialect::Igmp1)?)),
        REPORT_V2 => one(Dialect::Igmp2, Change::In(group(Dialect::Igmp2)?)),
        LEAVE => one(Dialect::Igmp2, Change::Out(group(Dialect::Igmp2)?)),
        _ => {
            let count = u16::from_be_bytes([start[6], start[7]]);
            let records = Records::new(Dialect::Igmp3, count, &message[MESSAGE_BYTES..])?;
            Some(Message::Report(Report::Many(records)))
        }
    })
}

/// The version of a query is told by its length and whether it gives a time (RFC 3376 §7.1).
fn query(message: &[u8], start: &[u8; MESSAGE_BYTES]) -> Option<Query> {
    let is_of_all = address_in(Dialect::Igmp2, &start[4..]) == Some(Address::v4(0));
    let group = if is_of_all { None } else { Some(group_in(Dialect::Igmp2, &start[4..])?) };
    let tenths = |tenths: u32| Duration::from_millis(u64::from(tenths) * 100);
    let old = |dialect: Dialect, response: Duration| Query {
        dialect,
        group,
        is_of_sources: false,
        is_repeated: false,
        response,
        robustness: ROBUSTNESS,
        interval: INTERVAL,
    };
    match (message.len(), start[1]) {
        (MESSAGE_BYTES, 0) => Some(old(Dialect::Igmp1, RESPONSE)),
        (MESSAGE_BYTES, code) => Some(old(Dialect::Igmp2, tenths(code.into()))),
        (_, code) => {
            let [flags, interval, n0, n1] = bytes_at(message, MESSAGE_BYTES)?;
            let sources = usize::from(u16::from_be_bytes([n0, n1]));
            let is_long_enough = message.len() >= QUERY_BYTES + 4 * sources;
            let query = old(Dialect::Igmp3, tenths(decode_byte(code)));
            is_long_enough.then(|| query.in_detail(flags, interval, sources))
        }
    }
}

impl Query {
    /// What the newer dialects say too.
    pub(super) fn in_detail(self, flags: u8, interval: u8, sources: usize) -> Query {
        let robustness = flags & 7;
        let interval = u64::from(decode_byte(interval));
        Query {
            is_of_sources: sources > 0,
            is_repeated: flags & 8 != 0,
            robustness: if robustness == 0 { ROBUSTNESS } else { robustness },
            interval: if interval == 0 { INTERVAL } else { Duration::from_secs(interval) },
            ..self
        }
    }

    /// The flags and the interval as they are sent.
    pub(super) fn detail(&self) -> [u8; 2] {
        let interval = u32::try_from(self.interval.as_secs()).unwrap_or(u32::MAX);
        [self.robustness & 7, encode_byte(interval)]
    }
}

/// Whether a packet says that routers are to look at it.
pub fn has_router_alert(head: &[u8], ip: &Ip) -> bool {
    let mut options = &head[ip.at + ipv4::HEADER_BYTES..ip.payload_at];
    // At most forty steps: every option is at least one byte.
    while let [kind, rest @ ..] = options {
        let len = match kind {
            0 => return false,
            1 => 1,
            148 => return true,
            _ => rest.first().map_or(options.len(), |&len| usize::from(len).max(2)),
        };
        options = options.get(len..).unwrap_or_default();
    }
    false
}

/// A query of ours, of version 3, in nobody's name.
pub fn packet(query: &Query) -> [u8; PACKET_BYTES] {
    const AT: usize = PACKET_BYTES - QUERY_BYTES;
    let destination = match query.group {
        Some(group) => Ipv4Addr::from_bits(group.v4_bits()),
        None => ALL_SYSTEMS,
    };
    let tenths = u32::try_from(query.response.as_millis() / 100).unwrap_or(u32::MAX);
    let mut message = [0; QUERY_BYTES];
    (message[0], message[1]) = (QUERY, encode_byte(tenths));
    put(&mut message, 4, query.group.map_or(0, Address::v4_bits).to_be_bytes());
    put(&mut message, MESSAGE_BYTES, query.detail());
    let checksum = Sum::default().bytes(&message).checksum();
    put(&mut message, 2, checksum.to_be_bytes());
    let len = (OPTION_ROUTER_ALERT.len() + QUERY_BYTES) as u16;
    let header = ipv4::header(Ipv4Addr::UNSPECIFIED, destination, PROTOCOL, len, 1);
    let mut packet = [0; PACKET_BYTES];
    put(&mut packet, 0, header);
    put(&mut packet, header.len(), OPTION_ROUTER_ALERT);
    (packet[0], packet[1]) = (0x40 | (AT / 4) as u8, PRECEDENCE);
    put(&mut packet, 10, [0, 0]);
    let checksum = Sum::default().bytes(&packet[..AT]).checksum();
    put(&mut packet, 10, checksum.to_be_bytes());
    put(&mut packet, AT, message);
    packet
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    const GROUP: Address = Address::v4(0xef01_0203);

    /// A message in a packet of the link, its sum right.
    fn packet_of(message: &[u8]) -> Vec<u8> {
        let mut message = message.to_vec();
        let sum = Sum::default().bytes(&message).checksum();
        put(&mut message, 2, sum.to_be_bytes());
        let source = Ipv4Addr::new(10, 0, 2, 9);
        let header = ipv4::header(source, ALL_SYSTEMS, PROTOCOL, message.len() as u16, 1);
        [&header[..], &message].concat()
    }

    fn said(packet: &[u8]) -> Result<Option<Message<'_>>, DropReason> {
        let ip = ipv4::parse(packet, packet.len(), 0)?;
        read(packet, &ip)
    }

    fn query(packet: &[u8]) -> Query {
        match said(packet) {
            Ok(Some(Message::Query(query))) => query,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn versions_of_a_query() {
        let all = |bytes: &[u8]| query(&packet_of(bytes));
        let first = all(&[QUERY, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!((first.dialect, first.group, first.response), (Dialect::Igmp1, None, RESPONSE));
        let second = all(&[QUERY, 20, 0, 0, 239, 1, 2, 3]);
        assert_eq!((second.dialect, second.group), (Dialect::Igmp2, Some(GROUP)));
        assert_eq!(second.response, Duration::from_secs(2));
        let third = all(&[QUERY, 100, 0, 0, 239, 1, 2, 3, 0x0b, 60, 0, 1, 10, 0, 0, 1]);
        let told = Query {
            dialect: Dialect::Igmp3,
            group: Some(GROUP),
            is_of_sources: true,
            is_repeated: true,
            response: RESPONSE,
            robustness: 3,
            interval: Duration::from_secs(60),
        };
        assert_eq!(third, told);
    }

    #[test]
    fn what_is_written_is_read() {
        for group in [None, Some(GROUP)] {
            let asked = Query {
                dialect: Dialect::Igmp3,
                group,
                is_of_sources: false,
                is_repeated: false,
                response: RESPONSE,
                robustness: ROBUSTNESS,
                interval: INTERVAL,
            };
            let bytes = packet(&asked);
            assert_eq!(query(&bytes), asked);
            let ip = ipv4::parse(&bytes, bytes.len(), 0).unwrap();
            assert!(has_router_alert(&bytes, &ip));
            assert_eq!((ip.ttl, ip.source), (1, Address::v4(0)));
        }
    }

    #[test]
    fn what_hosts_say() {
        let cases: [(&str, &[u8], Dialect, Change); 3] = [
            ("RFC 1112", &[REPORT_V1, 0, 0, 0, 239, 1, 2, 3], Dialect::Igmp1, Change::In(GROUP)),
            ("RFC 2236", &[REPORT_V2, 0, 0, 0, 239, 1, 2, 3], Dialect::Igmp2, Change::In(GROUP)),
            ("it leaves", &[LEAVE, 0, 0, 0, 239, 1, 2, 3], Dialect::Igmp2, Change::Out(GROUP)),
        ];
        for (what, message, dialect, change) in cases {
            let packet = packet_of(message);
            let report = Message::Report(Report::One(dialect, change));
            assert_eq!(said(&packet), Ok(Some(report)), "{what}");
        }
        let two = [2, 0, 0, 0, 239, 1, 2, 3, 3, 0, 0, 0, 239, 1, 2, 3];
        let packet = packet_of(&[&[REPORT_V3, 0, 0, 0, 0, 0, 0, 2], &two[..]].concat());
        let Ok(Some(Message::Report(report))) = said(&packet) else {
            panic!("{:?}", said(&packet));
        };
        let changes: Vec<Change> = report.changes().collect();
        assert_eq!(changes, [Change::In(GROUP), Change::Out(GROUP)]);
    }

    #[test]
    fn what_is_not_believed() {
        let report = packet_of(&[REPORT_V2, 0, 0, 0, 239, 1, 2, 3]);
        let from_afar = ipv4::header(Ipv4Addr::new(10, 0, 2, 9), ALL_SYSTEMS, PROTOCOL, 8, 2);
        let mut sum = report.clone();
        sum[27] ^= 1;
        let mut part = report.clone();
        put(&mut part, 6, [0x20, 0]);
        let from_afar = [&from_afar[..], &report[20..]].concat();
        let many = [&[REPORT_V3, 0, 0, 0, 0, 0][..], &1000u16.to_be_bytes(), &[2, 0, 0, 0]];
        let cases: [(&str, Vec<u8>); 9] = [
            ("a wrong sum", sum),
            ("from afar", from_afar),
            ("a fragment", part),
            ("no group", packet_of(&[REPORT_V2, 0, 0, 0, 10, 1, 2, 3])),
            ("cut short", packet_of(&[REPORT_V2, 0, 0, 0, 239, 1])),
            ("a query of no group", packet_of(&[QUERY, 100, 0, 0, 10, 0, 0, 1])),
            ("a query of a length that none has", packet_of(&[QUERY, 9, 0, 0, 0, 0, 0, 0, 2, 1])),
            (
                "a query with more sources than bytes",
                packet_of(&[QUERY, 9, 0, 0, 239, 0, 1, 1, 2, 60, 0, 1]),
            ),
            ("a thousand records in four bytes", packet_of(&many.concat())),
        ];
        for (what, packet) in cases {
            assert_eq!(said(&packet), Err(DropReason::GroupMessage), "{what}");
        }
        assert_eq!(said(&packet_of(&[0x13, 1, 0, 0, 0, 0, 0, 0])), Ok(None), "routing (DVMRP)");
    }
}
