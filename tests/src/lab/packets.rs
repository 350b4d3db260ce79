//! The frames of the laboratory's stations: TCP segments without payload, made in place, for there
//! are tens of millions of them, and the few others by the harness's builder.

use std::net::{Ipv4Addr, SocketAddrV4};

use lb::MacAddr;
use lb::wire::checksum::Sum;

use crate::frame::{Ends, Frame, Udp};

/// Ethernet, IPv4 and TCP without options, and what Ethernet demands beyond: padding, or a payload
/// where there is one to be pushed.
pub const SEGMENT_BYTES: usize = 60;
const IP_AT: usize = 14;
const TCP_AT: usize = 34;
const TCP_LEN: u16 = 20;
const PAYLOAD_LEN: u16 = (SEGMENT_BYTES - TCP_AT) as u16 - TCP_LEN;
const PROTOCOL_TCP: u16 = 6;

pub const FIN: u8 = 0x01;
pub const SYN: u8 = 0x02;
pub const RST: u8 = 0x04;
pub const PSH: u8 = 0x08;
pub const ACK: u8 = 0x10;

/// A segment (RFC 9293 §3.1) with right checksums.
pub fn segment(ends: &Ends, sequence: u32, flags: u8) -> [u8; SEGMENT_BYTES] {
    let mut frame = [0; SEGMENT_BYTES];
    frame[..6].copy_from_slice(&ends.to_mac.0);
    frame[6..12].copy_from_slice(&ends.from_mac.0);
    let tcp_len = TCP_LEN + if flags & PSH != 0 { PAYLOAD_LEN } else { 0 };
    // IPv4, header of 20 bytes, not to be fragmented, TTL 64, TCP.
    let len = 20 + tcp_len as u8;
    frame[12..24].copy_from_slice(&[0x08, 0x00, 0x45, 0, 0, len, 0, 0, 0x40, 0, 64, 6]);
    frame[26..30].copy_from_slice(&ends.from.ip().octets());
    frame[30..34].copy_from_slice(&ends.to.ip().octets());
    frame[34..36].copy_from_slice(&ends.from.port().to_be_bytes());
    frame[36..38].copy_from_slice(&ends.to.port().to_be_bytes());
    frame[38..42].copy_from_slice(&sequence.to_be_bytes());
    // The header has five words, the window is 64,000.
    frame[46..50].copy_from_slice(&[0x50, flags, 0xfa, 0]);
    let sum = Sum::default().bytes(&frame[IP_AT..TCP_AT]);
    frame[24..26].copy_from_slice(&sum.checksum().to_be_bytes());
    let addresses = Sum::default().bytes(&frame[26..34]).word(PROTOCOL_TCP).word(tcp_len);
    let sum = addresses.bytes(&frame[TCP_AT..]);
    frame[50..52].copy_from_slice(&sum.checksum().to_be_bytes());
    frame
}

/// A load report on its way to the switch.
pub fn report(mac: MacAddr, address: Ipv4Addr, line: &str) -> Vec<u8> {
    let port = lb::addr::REPORT_PORT;
    let ends = Ends {
        from_mac: mac,
        to_mac: MacAddr::SWITCH,
        from: SocketAddrV4::new(address, port),
        to: SocketAddrV4::new(lb::addr::LINK_LOCAL, port),
    };
    Frame::Udp(Udp { ends, payload: line.as_bytes().to_vec() }).bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Tcp, TcpFlags};

    #[test]
    fn a_segment_is_what_a_foreign_builder_makes_of_it() {
        let ends = Ends {
            from_mac: MacAddr([2, 0, 0, 0, 0, 1]),
            to_mac: MacAddr([2, 0, 0, 0, 0, 2]),
            from: "10.1.2.3:4567".parse().unwrap(),
            to: "10.0.2.100:80".parse().unwrap(),
        };
        let read = Frame::parse(&segment(&ends, 77, PSH | ACK)).expect("checksums are right");
        let flags = TcpFlags { psh: true, ..TcpFlags::NONE };
        let tcp = Tcp { ends, sequence: 77, acknowledged: Some(0), flags, payload: vec![0; 6] };
        assert_eq!(read, Frame::Tcp(tcp));
    }
}
