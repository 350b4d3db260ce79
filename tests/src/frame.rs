//! Frames as values: built and taken apart by etherparse, so that the appliance's own parser and
//! checksums are held against somebody else's.
//!
//! A value holds the fields that tests vary; all others are constants. Two frames are the same
//! when their bytes are, which covers the constants (a TTL that must not be touched) and every
//! checksum, since bytes are made with sums over the whole packet.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddrV4};

use etherparse::{
    ArpEthIpv4Packet, ArpHardwareId, ArpOperation, ArpPacket, ArpPacketSlice, EtherType,
    Ethernet2Header, IcmpEchoHeader, Icmpv4Header, Icmpv4Slice, Icmpv4Type, IpNumber, Ipv4Header,
    NetSlice, PacketBuilder, SlicedPacket, TcpHeader, TcpSlice, TransportSlice, UdpHeader,
    UdpSlice, checksum,
};
use lb::MacAddr;

const TTL: u8 = 64;
const WINDOW: u16 = 64_000;

/// What a test sends or sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    Arp(Arp),
    Tcp(Tcp),
    Udp(Udp),
    Echo(Echo),
    /// Anything else.
    Raw(Raw),
}

/// ARP for IPv4 over Ethernet (RFC 826).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arp {
    pub from: MacAddr,
    pub to: MacAddr,
    pub kind: ArpKind,
    pub sender_mac: MacAddr,
    pub sender: Ipv4Addr,
    pub target_mac: MacAddr,
    pub target: Ipv4Addr,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArpKind {
    Request,
    Reply,
}

/// Who speaks to whom, on both layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    pub from_mac: MacAddr,
    pub to_mac: MacAddr,
    pub from: SocketAddrV4,
    pub to: SocketAddrV4,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tcp {
    pub ends: Ends,
    pub sequence: u32,
    /// The acknowledgment, where the ACK flag is set.
    pub acknowledged: Option<u32>,
    pub flags: TcpFlags,
    pub payload: Vec<u8>,
}

/// The flags other than ACK.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpFlags {
    pub syn: bool,
    pub fin: bool,
    pub rst: bool,
    pub psh: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Udp {
    pub ends: Ends,
    pub payload: Vec<u8>,
}

/// ICMP echo (RFC 792).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Echo {
    pub from_mac: MacAddr,
    pub to_mac: MacAddr,
    pub from: Ipv4Addr,
    pub to: Ipv4Addr,
    pub kind: EchoKind,
    pub identifier: u16,
    pub sequence: u16,
    pub payload: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EchoKind {
    Request,
    Reply,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raw {
    pub from: MacAddr,
    pub to: MacAddr,
    pub ether_type: u16,
    pub payload: Vec<u8>,
}

impl Frame {
    pub fn bytes(&self) -> Vec<u8> {
        match self {
            Frame::Arp(arp) => arp.bytes(),
            Frame::Tcp(tcp) => tcp.bytes(),
            Frame::Udp(udp) => udp.bytes(),
            Frame::Echo(echo) => echo.bytes(),
            Frame::Raw(raw) => raw.bytes(),
        }
    }

    /// What these bytes are. An IPv4 packet whose checksums are not those of its bytes is an error,
    /// and so is one that calls itself IPv4 and is not.
    pub fn parse(bytes: &[u8]) -> Result<Frame, String> {
        let packet = SlicedPacket::from_ethernet(bytes).map_err(|error| error.to_string())?;
        let (ethernet, payload) =
            Ethernet2Header::from_slice(bytes).map_err(|error| error.to_string())?;
        let (from, to) = (MacAddr(ethernet.source), MacAddr(ethernet.destination));
        let known = match &packet.net {
            Some(NetSlice::Arp(arp)) => Arp::parse(from, to, arp).map(Frame::Arp),
            Some(NetSlice::Ipv4(ip)) => {
                let header = ip.header();
                let sum = header.to_header().calc_header_checksum();
                expect_sum("IPv4 header", header.header_checksum(), sum)?;
                let route = Route {
                    from_mac: from,
                    to_mac: to,
                    from: header.source_addr(),
                    to: header.destination_addr(),
                };
                match &packet.transport {
                    Some(TransportSlice::Tcp(tcp)) => Some(Tcp::parse(route, tcp)?.into()),
                    Some(TransportSlice::Udp(udp)) => Some(Udp::parse(route, udp)?.into()),
                    Some(TransportSlice::Icmpv4(icmp)) => {
                        Echo::parse(route, icmp)?.map(Frame::Echo)
                    }
                    _ => None,
                }
            }
            _ => None,
        };
        Ok(known.unwrap_or_else(|| {
            let payload = payload.to_vec();
            Raw { from, to, ether_type: ethernet.ether_type.0, payload }.into()
        }))
    }
}

/// Who speaks to whom, where there are no ports.
#[derive(Clone, Copy)]
struct Route {
    from_mac: MacAddr,
    to_mac: MacAddr,
    from: Ipv4Addr,
    to: Ipv4Addr,
}

impl Route {
    fn with_ports(self, from: u16, to: u16) -> Ends {
        Ends {
            from_mac: self.from_mac,
            to_mac: self.to_mac,
            from: SocketAddrV4::new(self.from, from),
            to: SocketAddrV4::new(self.to, to),
        }
    }

    /// Ethernet and IPv4 headers for so many bytes behind them.
    fn headers(self, payload: usize, protocol: IpNumber) -> Vec<u8> {
        let ethernet = Ethernet2Header {
            source: self.from_mac.0,
            destination: self.to_mac.0,
            ether_type: EtherType::IPV4,
        };
        let length = u16::try_from(payload).expect("a packet's length");
        let mut ip = Ipv4Header::new(length, TTL, protocol, self.from.octets(), self.to.octets())
            .expect("a packet's length");
        ip.header_checksum = ip.calc_header_checksum();
        [&ethernet.to_bytes()[..], &ip.to_bytes()].concat()
    }
}

/// One line for a trace or a failed assertion.
pub fn describe(bytes: &[u8]) -> String {
    match Frame::parse(bytes) {
        Ok(frame) => frame.to_string(),
        Err(error) => format!("{error}: {bytes:02x?}"),
    }
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Frame::Arp(Arp { from, to, kind, sender_mac, sender, target_mac, target }) => write!(
                f,
                "{from} > {to} ARP {kind:?}, {sender} at {sender_mac} to {target} at {target_mac}"
            ),
            Frame::Tcp(Tcp { ends, sequence, acknowledged, flags, payload }) => {
                write!(f, "{ends} TCP ")?;
                let named = [(flags.syn, "SYN "), (flags.fin, "FIN "), (flags.rst, "RST ")];
                named.iter().filter(|flag| flag.0).try_for_each(|flag| f.write_str(flag.1))?;
                if let Some(acknowledged) = acknowledged {
                    write!(f, "ack {acknowledged} ")?;
                }
                write!(f, "seq {sequence}, {} bytes", payload.len())
            }
            Frame::Udp(Udp { ends, payload }) => {
                write!(f, "{ends} UDP {:?}", String::from_utf8_lossy(payload))
            }
            Frame::Echo(Echo { from_mac, to_mac, from, to, kind, sequence, payload, .. }) => {
                write!(
                    f,
                    "{from_mac} > {to_mac} {from} > {to} echo {kind:?} {sequence}, {} bytes",
                    payload.len()
                )
            }
            Frame::Raw(Raw { from, to, ether_type, payload }) => {
                write!(f, "{from} > {to} type {ether_type:#06x}, {} bytes", payload.len())
            }
        }
    }
}

impl fmt::Display for Ends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ends { from_mac, to_mac, from, to } = self;
        write!(f, "{from_mac} > {to_mac} {from} > {to}")
    }
}

impl Arp {
    /// Who has `target`? Asked by broadcast.
    pub fn request(mac: MacAddr, sender: Ipv4Addr, target: Ipv4Addr) -> Arp {
        Arp {
            from: mac,
            to: MacAddr::BROADCAST,
            kind: ArpKind::Request,
            sender_mac: mac,
            sender,
            target_mac: MacAddr::ZERO,
            target,
        }
    }

    /// The answer of the one that has `mac` to this request.
    pub fn answer(&self, mac: MacAddr) -> Arp {
        Arp {
            from: mac,
            to: self.sender_mac,
            kind: ArpKind::Reply,
            sender_mac: mac,
            sender: self.target,
            target_mac: self.sender_mac,
            target: self.sender,
        }
    }

    /// Says its own address to everybody.
    pub fn is_announcement(&self) -> bool {
        self.sender == self.target && self.to == MacAddr::BROADCAST
    }

    fn parse(from: MacAddr, to: MacAddr, slice: &ArpPacketSlice) -> Option<Arp> {
        let packet = ArpEthIpv4Packet::try_from(slice.to_packet()).ok()?;
        let kind = match packet.operation {
            ArpOperation::REQUEST => ArpKind::Request,
            ArpOperation::REPLY => ArpKind::Reply,
            _ => return None,
        };
        Some(Arp {
            from,
            to,
            kind,
            sender_mac: MacAddr(packet.sender_mac),
            sender: packet.sender_ipv4.into(),
            target_mac: MacAddr(packet.target_mac),
            target: packet.target_ipv4.into(),
        })
    }

    fn bytes(&self) -> Vec<u8> {
        let operation = match self.kind {
            ArpKind::Request => ArpOperation::REQUEST,
            ArpKind::Reply => ArpOperation::REPLY,
        };
        let packet = ArpPacket::new(
            ArpHardwareId::ETHERNET,
            EtherType::IPV4,
            operation,
            &self.sender_mac.0,
            &self.sender.octets(),
            &self.target_mac.0,
            &self.target.octets(),
        );
        let builder = PacketBuilder::ethernet2(self.from.0, self.to.0).arp(packet.expect("fits"));
        let mut bytes = Vec::with_capacity(builder.size());
        builder.write(&mut bytes).expect("memory is long enough");
        bytes
    }
}

impl Ends {
    /// The other direction.
    pub fn back(self) -> Ends {
        Ends { from_mac: self.to_mac, to_mac: self.from_mac, from: self.to, to: self.from }
    }

    fn route(self) -> Route {
        Route {
            from_mac: self.from_mac,
            to_mac: self.to_mac,
            from: *self.from.ip(),
            to: *self.to.ip(),
        }
    }
}

impl TcpFlags {
    pub const NONE: TcpFlags = TcpFlags { syn: false, fin: false, rst: false, psh: false };
    pub const SYN: TcpFlags = TcpFlags { syn: true, ..TcpFlags::NONE };
    pub const FIN: TcpFlags = TcpFlags { fin: true, ..TcpFlags::NONE };
    pub const RST: TcpFlags = TcpFlags { rst: true, ..TcpFlags::NONE };
    pub const PSH: TcpFlags = TcpFlags { psh: true, ..TcpFlags::NONE };
}

impl Tcp {
    fn parse(route: Route, tcp: &TcpSlice) -> Result<Tcp, String> {
        let sum = tcp.calc_checksum_ipv4(route.from.octets(), route.to.octets());
        expect_sum("TCP", tcp.checksum(), sum.map_err(|error| error.to_string())?)?;
        Ok(Tcp {
            ends: route.with_ports(tcp.source_port(), tcp.destination_port()),
            sequence: tcp.sequence_number(),
            acknowledged: tcp.ack().then(|| tcp.acknowledgment_number()),
            flags: TcpFlags { syn: tcp.syn(), fin: tcp.fin(), rst: tcp.rst(), psh: tcp.psh() },
            payload: tcp.payload().to_vec(),
        })
    }

    fn bytes(&self) -> Vec<u8> {
        let (from, to) = (self.ends.from, self.ends.to);
        let mut header = TcpHeader::new(from.port(), to.port(), self.sequence, WINDOW);
        header.acknowledgment_number = self.acknowledged.unwrap_or(0);
        header.ack = self.acknowledged.is_some();
        header.syn = self.flags.syn;
        header.fin = self.flags.fin;
        header.rst = self.flags.rst;
        header.psh = self.flags.psh;
        let sum =
            header.calc_checksum_ipv4_raw(from.ip().octets(), to.ip().octets(), &self.payload);
        header.checksum = sum.expect("a packet's length");
        let segment = [&header.to_bytes()[..], &self.payload].concat();
        let headers = self.ends.route().headers(segment.len(), IpNumber::TCP);
        [headers, segment].concat()
    }
}

impl Udp {
    fn parse(route: Route, udp: &UdpSlice) -> Result<Udp, String> {
        let (from, to) = (route.from.octets(), route.to.octets());
        // RFC 768: 0 says that there is none.
        if udp.checksum() != 0 {
            let sum = udp.to_header().calc_checksum_ipv4_raw(from, to, udp.payload());
            expect_sum("UDP", udp.checksum(), sum.map_err(|error| error.to_string())?)?;
        }
        let ends = route.with_ports(udp.source_port(), udp.destination_port());
        Ok(Udp { ends, payload: udp.payload().to_vec() })
    }

    fn bytes(&self) -> Vec<u8> {
        let (from, to) = (self.ends.from, self.ends.to);
        let length = u16::try_from(UdpHeader::LEN + self.payload.len()).expect("a packet's length");
        let mut header = UdpHeader {
            source_port: from.port(),
            destination_port: to.port(),
            length,
            checksum: 0,
        };
        let sum =
            header.calc_checksum_ipv4_raw(from.ip().octets(), to.ip().octets(), &self.payload);
        header.checksum = sum.expect("a packet's length");
        let headers = self.ends.route().headers(usize::from(length), IpNumber::UDP);
        [&headers[..], &header.to_bytes(), &self.payload].concat()
    }
}

impl Echo {
    /// The answer that a host with `mac` gives.
    pub fn answer(&self, mac: MacAddr) -> Echo {
        Echo {
            from_mac: mac,
            to_mac: self.from_mac,
            from: self.to,
            to: self.from,
            kind: EchoKind::Reply,
            ..self.clone()
        }
    }

    fn parse(route: Route, icmp: &Icmpv4Slice) -> Result<Option<Echo>, String> {
        // A sum over everything, the checksum included, is zero (RFC 1071).
        let whole = checksum::Sum16BitWords::new().add_slice(icmp.slice());
        expect_sum("ICMP", 0, whole.ones_complement())?;
        let (kind, echo) = match icmp.icmp_type() {
            Icmpv4Type::EchoRequest(echo) => (EchoKind::Request, echo),
            Icmpv4Type::EchoReply(echo) => (EchoKind::Reply, echo),
            _ => return Ok(None),
        };
        Ok(Some(Echo {
            from_mac: route.from_mac,
            to_mac: route.to_mac,
            from: route.from,
            to: route.to,
            kind,
            identifier: echo.id,
            sequence: echo.seq,
            payload: icmp.payload().to_vec(),
        }))
    }

    fn bytes(&self) -> Vec<u8> {
        let echo = IcmpEchoHeader { id: self.identifier, seq: self.sequence };
        let kind = match self.kind {
            EchoKind::Request => Icmpv4Type::EchoRequest(echo),
            EchoKind::Reply => Icmpv4Type::EchoReply(echo),
        };
        let header = Icmpv4Header::with_checksum(kind, &self.payload);
        let message = [&header.to_bytes()[..], &self.payload].concat();
        let Echo { from_mac, to_mac, from, to, .. } = *self;
        let route = Route { from_mac, to_mac, from, to };
        [route.headers(message.len(), IpNumber::ICMP), message].concat()
    }
}

impl Raw {
    fn bytes(&self) -> Vec<u8> {
        let ethernet = Ethernet2Header {
            source: self.from.0,
            destination: self.to.0,
            ether_type: EtherType(self.ether_type),
        };
        [&ethernet.to_bytes()[..], &self.payload].concat()
    }
}

macro_rules! frames {
    ($($kind:ident)*) => { $(
        impl From<$kind> for Frame {
            fn from(value: $kind) -> Frame {
                Frame::$kind(value)
            }
        }
    )* };
}
frames!(Arp Tcp Udp Echo Raw);

fn expect_sum(of: &str, found: u16, right: u16) -> Result<(), String> {
    if found == right {
        return Ok(());
    }
    Err(format!("checksum of {of} is {found:#06x}, its bytes add up to {right:#06x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
    const B: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);

    fn ends() -> Ends {
        let from = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 1), 1025);
        let to = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 2), 80);
        Ends { from_mac: A, to_mac: B, from, to }
    }

    fn one_of_each() -> [Frame; 5] {
        [
            Arp::request(A, *ends().from.ip(), *ends().to.ip()).into(),
            Tcp {
                ends: ends(),
                sequence: u32::MAX,
                acknowledged: Some(7),
                flags: TcpFlags::FIN,
                payload: vec![1, 2, 3],
            }
            .into(),
            Udp { ends: ends(), payload: vec![4; 5] }.into(),
            Echo {
                from_mac: A,
                to_mac: B,
                from: *ends().from.ip(),
                to: *ends().to.ip(),
                kind: EchoKind::Request,
                identifier: 1,
                sequence: 2,
                payload: vec![6; 7],
            }
            .into(),
            Raw { from: A, to: B, ether_type: 0x88b5, payload: vec![8; 60] }.into(),
        ]
    }

    #[test]
    fn a_frame_and_its_bytes_are_one() {
        for frame in one_of_each() {
            assert_eq!(Frame::parse(&frame.bytes()), Ok(frame));
        }
    }

    #[test]
    fn no_byte_of_a_packet_may_be_wrong() {
        for frame in one_of_each() {
            let bytes = frame.bytes();
            for at in Ethernet2Header::LEN..bytes.len() {
                let mut wrong = bytes.clone();
                wrong[at] ^= 0x10;
                assert_ne!(
                    Frame::parse(&wrong).ok(),
                    Some(frame.clone()),
                    "byte {at} of {frame:?}"
                );
            }
        }
    }
}
