//! MLD (RFC 2710, 3810): what is said of IPv6's groups, by ICMPv6.
//!
//! ```text
//!   type, 0, sum │ ms to answer, 0 │ group │ a query of version 2: flags, interval, sources
//!   type, 0, sum │ 0, records │ records                            a report of version 2
//! ```
//!
//! It is believed from this link alone: from a link-local address, or of a host that has none yet
//! (RFC 3590 §4), with hop limit 1, and with the router alert that nobody leaves out here.

use core::net::Ipv6Addr;
use core::time::Duration;

use super::group::{
    Change, Dialect, INTERVAL, Message, Query, ROBUSTNESS, Records, Report, group_in,
};
use super::icmp::{self, PROTOCOL_V6};
use super::ip::{Fragmentation, pseudo_header};
use super::nd::ALL_NODES;
use super::{Address, Ip, bytes_at, ipv6, put};
use crate::DropReason;
use crate::addr::LINK_LOCAL_V6;

const QUERY: u8 = 130;
const REPORT_V1: u8 = 131;
const DONE: u8 = 132;
const REPORT_V2: u8 = 143;

/// Bytes up to the records of a report.
const REPORT_BYTES: usize = 8;
/// Bytes of the older messages.
const MESSAGE_BYTES: usize = 24;
/// Bytes of a query of version 2 before its sources.
const QUERY_BYTES: usize = 28;
/// Hop-by-hop options: a router alert for MLD (RFC 2711), and padding.
const ALERT: [u8; 8] = [PROTOCOL_V6, 0, 5, 2, 0, 0, 1, 0];
/// A query of ours: IP header, router alert, message.
const PACKET_BYTES: usize = ipv6::HEADER_BYTES + ALERT.len() + QUERY_BYTES;
/// The number of the hop-by-hop options.
const HOP_BY_HOP: u8 = 0;

/// What an ICMPv6 packet says of groups; `None` if it is a message of another kind.
pub fn read<'a>(head: &'a [u8], ip: &Ip) -> Result<Option<Message<'a>>, DropReason> {
    let message = ip.payload(head);
    let kind = message.first();
    if ip.is_later_part() || !matches!(kind, Some(&(QUERY | REPORT_V1 | DONE | REPORT_V2))) {
        return Ok(None);
    }
    let wrong = DropReason::GroupMessage;
    let is_near = ip.ttl == 1 && has_router_alert(head, ip);
    let is_whole = ip.fragment == Fragmentation::Whole && icmp::check_sum(head, ip).is_ok();
    // A router has an address, a host may be about to find out whether it has (RFC 3590 §4).
    let may_be_nobody = kind != Some(&QUERY) && ip.source == Address::v6([0; 16]);
    let is_link_local = ip.source.words()[0] >> 54 == 0xfe80 >> 6;
    if !is_near || !is_whole || !(is_link_local || may_be_nobody) {
        return Err(wrong);
    }
    if kind == Some(&REPORT_V2) {
        let [.., n0, n1] = bytes_at::<REPORT_BYTES>(message, 0).ok_or(wrong)?;
        let count = u16::from_be_bytes([n0, n1]);
        let records = Records::new(Dialect::Mld2, count, &message[REPORT_BYTES..])?;
        return Ok(Some(Message::Report(Report::Many(records))));
    }
    let start: [u8; MESSAGE_BYTES] = bytes_at(message, 0).ok_or(wrong)?;
    let group = || group_in(Dialect::Mld1, &start[8..]).ok_or(wrong);
    let one = |change| Some(Message::Report(Report::One(Dialect::Mld1, change)));
    Ok(match start[0] {
        QUERY => Some(Message::Query(query(message, &start).ok_or(wrong)?)),
        REPORT_V1 => one(Change::In(group()?)),
        _ => one(Change::Out(group()?)),
    })
}

/// The version of a query is told by its length (RFC 3810 §8.1).
fn query(message: &[u8], start: &[u8; MESSAGE_BYTES]) -> Option<Query> {
    let is_of_all = start[8..] == [0; 16];
    let group = if is_of_all { None } else { Some(group_in(Dialect::Mld1, &start[8..])?) };
    let code = u16::from_be_bytes([start[4], start[5]]);
    let old = |dialect: Dialect, response_ms: u64| Query {
        dialect,
        group,
        is_of_sources: false,
        is_repeated: false,
        response: Duration::from_millis(response_ms),
        robustness: ROBUSTNESS,
        interval: INTERVAL,
    };
    if message.len() == MESSAGE_BYTES {
        return Some(old(Dialect::Mld1, code.into()));
    }
    let [flags, interval, n0, n1] = bytes_at(message, MESSAGE_BYTES)?;
    let sources = usize::from(u16::from_be_bytes([n0, n1]));
    let is_long_enough = message.len() >= QUERY_BYTES + 16 * sources;
    let query = old(Dialect::Mld2, decode_ms(code).into());
    is_long_enough.then(|| query.in_detail(flags, interval, sources))
}

/// A time in sixteen bits (RFC 3810 §5.1.3): from 32,768 on with an exponent.
const fn decode_ms(code: u16) -> u32 {
    match code {
        0..0x8000 => code as u32,
        _ => ((code & 0xfff | 0x1000) as u32) << ((code >> 12 & 7) + 3),
    }
}

/// Whether a packet says that routers are to look at it, for MLD.
fn has_router_alert(head: &[u8], ip: &Ip) -> bool {
    let options_at = ip.at + ipv6::HEADER_BYTES;
    if head[ip.at + 6] != HOP_BY_HOP || options_at + ALERT.len() > ip.payload_at {
        return false;
    }
    // The parser of IPv6 has found all of it to lie inside.
    let len = (usize::from(head[options_at + 1]) + 1) * 8;
    let mut options = &head[options_at + 2..options_at + len];
    // Each option is at least one byte, and there are 2,046 at most.
    while let [kind, rest @ ..] = options {
        let len = match kind {
            0 => 1,
            5 => return rest.starts_with(&ALERT[3..6]),
            _ => rest.first().map_or(options.len(), |&len| usize::from(len) + 2),
        };
        options = options.get(len..).unwrap_or_default();
    }
    false
}

/// A query of ours, of version 2, from the switch's link-local address.
pub fn packet(query: &Query) -> [u8; PACKET_BYTES] {
    const AT: usize = PACKET_BYTES - QUERY_BYTES;
    let group = query.group.map_or([0; 16], Address::v6_octets);
    let destination = query.group.map_or(ALL_NODES, |_| Ipv6Addr::from_octets(group));
    let response_ms = u16::try_from(query.response.as_millis()).unwrap_or(u16::MAX).min(0x7fff);
    let mut message = [0; QUERY_BYTES];
    message[0] = QUERY;
    put(&mut message, 4, response_ms.to_be_bytes());
    put(&mut message, 8, group);
    put(&mut message, MESSAGE_BYTES, query.detail());
    let source = LINK_LOCAL_V6;
    let pseudo = pseudo_header(source.into(), destination.into(), PROTOCOL_V6, QUERY_BYTES);
    let checksum = pseudo.bytes(&message).checksum();
    put(&mut message, 2, checksum.to_be_bytes());
    let len = (ALERT.len() + QUERY_BYTES) as u16;
    let mut packet = [0; PACKET_BYTES];
    put(&mut packet, 0, ipv6::header(source, destination, HOP_BY_HOP, len, 1));
    put(&mut packet, ipv6::HEADER_BYTES, ALERT);
    put(&mut packet, AT, message);
    packet
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::group::RESPONSE;
    use std::vec::Vec;

    const GROUP: Ipv6Addr = Ipv6Addr::new(0xff05, 0, 0, 0, 0, 0, 1, 3);
    const HOST: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 9);

    /// A message in a packet of the link, its sum right.
    fn packet_of(source: Ipv6Addr, alert: &[u8], hop_limit: u8, message: &[u8]) -> Vec<u8> {
        let mut message = message.to_vec();
        let pseudo = pseudo_header(source.into(), ALL_NODES.into(), PROTOCOL_V6, message.len());
        let sum = pseudo.bytes(&message).checksum();
        put(&mut message, 2, sum.to_be_bytes());
        let next = if alert.is_empty() { PROTOCOL_V6 } else { HOP_BY_HOP };
        let len = (alert.len() + message.len()) as u16;
        let header = ipv6::header(source, ALL_NODES, next, len, hop_limit);
        [&header[..], alert, &message].concat()
    }

    fn old(kind: u8, code: u16, group: Ipv6Addr) -> Vec<u8> {
        let [c0, c1] = code.to_be_bytes();
        [&[kind, 0, 0, 0, c0, c1, 0, 0][..], &group.octets()].concat()
    }

    fn said(packet: &[u8]) -> Result<Option<Message<'_>>, DropReason> {
        let ip = ipv6::parse(packet, packet.len(), 0)?;
        read(packet, &ip)
    }

    #[test]
    fn what_is_written_is_read() {
        for group in [None, Some(GROUP.into())] {
            let asked = Query {
                dialect: Dialect::Mld2,
                group,
                is_of_sources: false,
                is_repeated: false,
                response: RESPONSE,
                robustness: ROBUSTNESS,
                interval: INTERVAL,
            };
            assert_eq!(said(&packet(&asked)), Ok(Some(Message::Query(asked))));
        }
    }

    #[test]
    fn what_hosts_and_routers_say() {
        let one = |change| Message::Report(Report::One(Dialect::Mld1, change));
        let group = Address::from(GROUP);
        for (kind, said_of_it) in [(REPORT_V1, Change::In(group)), (DONE, Change::Out(group))] {
            let packet = packet_of(HOST, &ALERT, 1, &old(kind, 0, GROUP));
            assert_eq!(said(&packet), Ok(Some(one(said_of_it))));
        }
        let dad = packet_of(Ipv6Addr::UNSPECIFIED, &ALERT, 1, &old(REPORT_V1, 0, GROUP));
        assert_eq!(said(&dad), Ok(Some(one(Change::In(group)))), "of a host without an address");
        let record = [&[4, 0, 0, 0][..], &GROUP.octets()].concat();
        let many = [&[REPORT_V2, 0, 0, 0, 0, 0, 0, 1][..], &record].concat();
        let packet = packet_of(HOST, &ALERT, 1, &many);
        let Ok(Some(Message::Report(report))) = said(&packet) else {
            panic!("{:?}", said(&packet));
        };
        assert_eq!(report.changes().collect::<Vec<_>>(), [Change::In(group)]);
        let question = packet_of(HOST, &ALERT, 1, &old(QUERY, 0x8000, Ipv6Addr::UNSPECIFIED));
        let Ok(Some(Message::Query(query))) = said(&question) else {
            panic!("{:?}", said(&question));
        };
        assert_eq!((query.dialect, query.group), (Dialect::Mld1, None));
        assert_eq!(query.response, Duration::from_millis(32_768));
        assert_eq!([decode_ms(0x7fff), decode_ms(0xffff)], [32_767, 8_387_584]);
    }

    #[test]
    fn what_is_not_believed() {
        let global = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 9);
        let nobody = Ipv6Addr::UNSPECIFIED;
        let report = old(REPORT_V1, 0, GROUP);
        let query = old(QUERY, 1000, nobody);
        let pads = [PROTOCOL_V6, 0, 1, 4, 0, 0, 0, 0];
        let thousand = [&[REPORT_V2, 0, 0, 0, 0, 0, 3, 232][..], &report[4..]].concat();
        let mut sum = packet_of(HOST, &ALERT, 1, &report);
        sum[60] ^= 1;
        let cases: [(&str, Vec<u8>); 10] = [
            ("without a router alert", packet_of(HOST, &[], 1, &report)),
            ("with other options", packet_of(HOST, &pads, 1, &report)),
            ("from afar", packet_of(HOST, &ALERT, 2, &report)),
            ("from an address of the world", packet_of(global, &ALERT, 1, &report)),
            ("a query of nobody", packet_of(nobody, &ALERT, 1, &query)),
            ("a wrong sum", sum),
            ("cut short", packet_of(HOST, &ALERT, 1, &report[..20])),
            ("of no group", packet_of(HOST, &ALERT, 1, &old(REPORT_V1, 0, global))),
            (
                "a query of a length that none has",
                packet_of(HOST, &ALERT, 1, &{ [&query[..], &[0, 0]].concat() }),
            ),
            ("a thousand records that are not there", packet_of(HOST, &ALERT, 1, &thousand)),
        ];
        for (what, packet) in cases {
            assert_eq!(said(&packet), Err(DropReason::GroupMessage), "{what}");
        }
        let echo = packet_of(HOST, &[], 64, &[128, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(said(&echo), Ok(None));
    }
}
