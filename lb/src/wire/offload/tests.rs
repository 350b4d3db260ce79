use super::*;
use crate::wire::ip::pseudo_header;
use etherparse::{
    IpHeaders, IpNumber, Ipv4Header, Ipv6Extensions, Ipv6FlowLabel, Ipv6Header, Ipv6RawExtHeader,
    LinkHeader, NetHeaders, PacketBuilder, PacketHeaders, TcpHeader, TransportHeader, VlanId,
};
use proptest::collection::vec as bytes_of;
use proptest::prelude::*;
use std::vec::Vec;

/// What a head holds at least, other than a whole frame.
const HEAD: usize = 1984;

/// What a guest's stack hands to its NIC.
#[derive(Clone, Debug)]
struct Packet {
    tags: usize,
    version: u8,
    /// In words of 4 bytes for IPv4, in headers of 8 for IPv6.
    options: usize,
    transport: Protocol,
    tcp_options: usize,
    tcp_flags: u8,
    sequence: u32,
    identification: u16,
    payload: Vec<u8>,
    segment_len: u16,
}

impl Packet {
    fn kind(&self) -> SegmentKind {
        match (self.transport, self.version) {
            (Protocol::Tcp, 4) => SegmentKind::TcpV4,
            (Protocol::Tcp, _) => SegmentKind::TcpV6,
            (Protocol::Udp, _) => SegmentKind::UdpL4,
        }
    }

    fn network(&self) -> IpHeaders {
        let protocol = IpNumber(self.transport.number());
        if self.version == 4 {
            let (source, destination) = ([192, 0, 2, 7], [10, 0, 2, 100]);
            let mut header = Ipv4Header::new(0, 64, protocol, source, destination).unwrap();
            header.identification = self.identification;
            header.options = (&[1; 40][..4 * self.options]).try_into().unwrap();
            return IpHeaders::Ipv4(header, Default::default());
        }
        let option = || Ipv6RawExtHeader::new_raw(protocol, &[1, 4, 0, 0, 0, 0]).unwrap();
        let extensions = Ipv6Extensions {
            hop_by_hop_options: (self.options > 0).then(option),
            destination_options: (self.options > 1).then(option),
            ..Default::default()
        };
        let header = Ipv6Header {
            traffic_class: 0,
            flow_label: Ipv6FlowLabel::ZERO,
            payload_length: 0,
            next_header: protocol,
            hop_limit: 64,
            source: [0x20; 16],
            destination: [0xfd; 16],
        };
        IpHeaders::Ipv6(header, extensions)
    }

    /// All of it, and what is left to do: the checksum is only begun.
    fn frame(&self) -> (Vec<u8>, Offload) {
        let link = PacketBuilder::ethernet2([2; 6], [4; 6]);
        let id = |id| VlanId::try_new(id).unwrap();
        let network = match self.tags {
            0 => link.ip(self.network()),
            1 => link.single_vlan(id(5)).ip(self.network()),
            _ => link.double_vlan(id(5), id(6)).ip(self.network()),
        };
        let mut frame = Vec::new();
        match self.transport {
            Protocol::Tcp => {
                let mut header = TcpHeader::new(49152, 80, self.sequence, 4096);
                (header.fin, header.syn, header.psh) = self.flags();
                (header.ack, header.cwr, header.acknowledgment_number) = (true, self.cwr(), 77);
                header.set_options_raw(&[1; 40][..4 * self.tcp_options]).unwrap();
                network.tcp_header(header).write(&mut frame, &self.payload).unwrap();
            }
            Protocol::Udp => network.udp(49152, 443).write(&mut frame, &self.payload).unwrap(),
        }
        let (_, packet) = packet(&frame, frame.len()).unwrap();
        let offset = Transport::checksum_offset(self.transport);
        let Ip { source, destination, payload_at, protocol, .. } = packet;
        let sum = pseudo_header(source, destination, protocol, packet.payload_len()).folded();
        put(&mut frame, payload_at + offset, sum.to_be_bytes());
        let checksum = PartialChecksum { start: payload_at as u16, offset: offset as u16 };
        let payload_len = NonZeroU16::new(self.segment_len).unwrap();
        let segments = Segments { kind: self.kind(), payload_len };
        (frame, Offload { checksum: Some(checksum), segments: Some(segments) })
    }

    fn flags(&self) -> (bool, bool, bool) {
        (self.tcp_flags & 1 != 0, false, self.tcp_flags & 8 != 0)
    }

    fn cwr(&self) -> bool {
        self.tcp_flags & 0x80 != 0
    }
}

/// What fits a frame behind the longest of these headers: a second tag, and 60 bytes each of IPv4
/// and TCP.
const SEGMENT_LEN_MAX: u16 = 1500 - 4 - 60 - 60;

fn packets(payload_max: usize) -> impl Strategy<Value = Packet> {
    let headers = (0..3usize, prop_oneof![Just(4u8), Just(6)], 0..=10usize);
    let transport = prop_oneof![Just(Protocol::Tcp), Just(Protocol::Udp)];
    let tcp = (0..=10usize, any::<u8>(), any::<u32>(), any::<u16>());
    let payload = (bytes_of(any::<u8>(), 0..payload_max), 1..=SEGMENT_LEN_MAX);
    (headers, transport, tcp, payload).prop_map(|(headers, transport, tcp, payload)| {
        let (tags, version, options) = headers;
        let options = if version == 4 { options } else { options % 3 };
        let (tcp_options, tcp_flags, sequence, identification) = tcp;
        let (payload, segment_len) = payload;
        // Few enough for a test.
        let segment_len = segment_len.max((payload.len() / 100) as u16);
        Packet {
            tags,
            version,
            options,
            transport,
            tcp_options,
            tcp_flags,
            sequence,
            identification,
            payload,
            segment_len,
        }
    })
}

/// As the loop of an appliance does it: the payload is put into place, then come the headers.
fn cut_up(frame: &[u8], offload: &Offload) -> Result<Vec<Vec<u8>>, Malformed> {
    let head = &frame[..frame.len().min(HEAD)];
    let cut = Cut::new(offload, head, frame.len())?;
    let segments = cut.segments().map(|segment| {
        let mut bytes = std::vec![0xee; cut.headers_len()];
        bytes.extend_from_slice(&frame[segment.payload.clone()]);
        let first_len = bytes.len().min(HEAD);
        let (first, rest) = bytes.split_at_mut(first_len);
        cut.write(&segment, head, first, Sum::default().bytes(rest));
        bytes
    });
    Ok(segments.collect())
}

/// A frame as etherparse reads it, which checks all lengths; every checksum is summed in full.
fn read(frame: &[u8]) -> PacketHeaders<'_> {
    let read = PacketHeaders::from_ethernet_slice(frame).unwrap();
    let payload = read.payload.slice();
    match (read.net.as_ref().unwrap(), read.transport.as_ref().unwrap()) {
        (NetHeaders::Ipv4(ip, _), transport) => {
            assert_eq!(ip.header_checksum, ip.calc_header_checksum());
            match transport {
                TransportHeader::Tcp(tcp) => {
                    assert_eq!(tcp.checksum, tcp.calc_checksum_ipv4(ip, payload).unwrap());
                }
                TransportHeader::Udp(udp) => {
                    assert_eq!(udp.checksum, udp.calc_checksum_ipv4(ip, payload).unwrap());
                }
                other => panic!("{other:?}"),
            }
        }
        (NetHeaders::Ipv6(ip, _), TransportHeader::Tcp(tcp)) => {
            assert_eq!(tcp.checksum, tcp.calc_checksum_ipv6(ip, payload).unwrap());
        }
        (NetHeaders::Ipv6(ip, _), TransportHeader::Udp(udp)) => {
            assert_eq!(udp.checksum, udp.calc_checksum_ipv6(ip, payload).unwrap());
        }
        other => panic!("{other:?}"),
    }
    read
}

/// The headers of a segment, with everything that may differ made equal.
fn common(read: &PacketHeaders<'_>) -> PacketHeaders<'static> {
    let mut net = read.net.clone().unwrap();
    match &mut net {
        NetHeaders::Ipv4(ip, _) => {
            (ip.total_len, ip.identification, ip.header_checksum) = (0, 0, 0);
        }
        NetHeaders::Ipv6(ip, _) => ip.payload_length = 0,
        NetHeaders::Arp(_) => panic!("ARP is not cut"),
    }
    let mut transport = read.transport.clone().unwrap();
    match &mut transport {
        TransportHeader::Tcp(tcp) => {
            (tcp.sequence_number, tcp.checksum) = (0, 0);
            (tcp.fin, tcp.psh, tcp.cwr) = (false, false, false);
        }
        TransportHeader::Udp(udp) => (udp.length, udp.checksum) = (0, 0),
        other => panic!("{other:?}"),
    }
    PacketHeaders {
        link: read.link.clone(),
        link_exts: read.link_exts.clone(),
        net: Some(net),
        transport: Some(transport),
        payload: etherparse::PayloadSlice::Empty,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn segments_are_the_packet_in_pieces(packet in packets(60_000)) {
        let (frame, offload) = packet.frame();
        prop_assert_eq!(offload.check(&frame[..frame.len().min(HEAD)], frame.len()), Ok(()));
        let segments = cut_up(&frame, &offload).unwrap();
        prop_assert!(segments.iter().all(|segment| segment.len() <= 18 + 1500));

        let original = PacketHeaders::from_ethernet_slice(&frame).unwrap();
        let last = segments.len() - 1;
        let mut payload = Vec::new();
        for (index, segment) in segments.iter().enumerate() {
            let read = read(segment);
            prop_assert_eq!(common(&read), common(&original));
            let len = read.payload.slice().len();
            prop_assert!(len == usize::from(packet.segment_len) || index == last);
            if let Some(NetHeaders::Ipv4(ip, _)) = &read.net {
                prop_assert_eq!(ip.identification, packet.identification.wrapping_add(index as u16));
            }
            if let Some(TransportHeader::Tcp(tcp)) = &read.transport {
                let sequence = packet.sequence.wrapping_add(payload.len() as u32);
                prop_assert_eq!(tcp.sequence_number, sequence);
                let (fin, _, psh) = packet.flags();
                prop_assert_eq!((tcp.fin, tcp.psh), (fin && index == last, psh && index == last));
                prop_assert_eq!(tcp.cwr, packet.cwr() && index == 0);
            }
            payload.extend_from_slice(read.payload.slice());
        }
        prop_assert_eq!(payload, packet.payload);
    }

    /// However the frame lies in its buffers.
    #[test]
    fn f35_a_finished_checksum_is_a_valid_one(
        packet in packets(8900),
        head_len in 1400..4000usize,
        piece_len in 1..3000usize,
    ) {
        let (mut frame, mut offload) = packet.frame();
        offload.segments = None;
        let len = frame.len();
        let (head, rest) = frame.split_at_mut(len.min(head_len));
        offload.finish(head, len, Sum::of_pieces(rest.chunks(piece_len))).unwrap();
        prop_assert_eq!(offload, Offload::default());
        read(&frame);
    }

    /// P50: what was wrong when it came stays wrong.
    #[test]
    fn a_wrong_partial_sum_makes_wrong_checksums(packet in packets(5000), error in 1..0xffffu16) {
        let (mut frame, offload) = packet.frame();
        let right = cut_up(&frame, &offload).unwrap();
        let at = offload.checksum.unwrap().field_at();
        let sum = u16::from_be_bytes([frame[at], frame[at + 1]]);
        put(&mut frame, at, sum.wrapping_add(error).to_be_bytes());
        for (wrong, right) in cut_up(&frame, &offload).unwrap().iter().zip(right) {
            prop_assert_ne!(&wrong[at..at + 2], &right[at..at + 2]);
        }
    }

    /// D9, D10: bytes, places and sizes of any kind end in an answer.
    #[test]
    fn d9_d10_hostile_metadata_is_refused_or_done(
        mut frame in bytes_of(any::<u8>(), 0..300),
        beyond in 0..70_000usize,
        start in any::<u16>(),
        offset in any::<u16>(),
        kind in prop_oneof![
            Just(SegmentKind::TcpV4), Just(SegmentKind::TcpV6), Just(SegmentKind::UdpL4)
        ],
        payload_len in 1..=u16::MAX,
        has_segments in any::<bool>(),
    ) {
        let payload_len = NonZeroU16::new(payload_len).unwrap();
        let segments = has_segments.then_some(Segments { kind, payload_len });
        let checksum = Some(PartialChecksum { start, offset });
        let mut offload = Offload { checksum, segments };
        let checked = offload.check(&frame, frame.len() + beyond);
        let cut = Cut::new(&offload, &frame, frame.len() + beyond);
        prop_assert!(!has_segments || checked.is_ok() == cut.is_ok());
        let len = frame.len();
        let finished = offload.finish(&mut frame, len + beyond, Sum::default());
        prop_assert!(finished.is_err() || usize::from(start) + usize::from(offset) + 2 <= len);
    }

    /// The same with one byte or number of a good packet made wrong, which gets further.
    #[test]
    fn d10_almost_good_packets_are_refused_or_cut(
        packet in packets(3000),
        at in 12..120usize,
        value in any::<u8>(),
        missing in 0..100usize,
    ) {
        let (mut frame, offload) = packet.frame();
        let at = at.min(frame.len() - 1);
        frame[at] = value;
        let head_len = frame.len().min(HEAD).saturating_sub(missing);
        if let Ok(cut) = Cut::new(&offload, &frame[..head_len], frame.len()) {
            prop_assert!(cut.headers_len() <= head_len);
            for segment in cut.segments() {
                prop_assert!(segment.payload.end <= frame.len());
                let mut bytes = std::vec![0; cut.headers_len() + segment.payload.len()];
                cut.write(&segment, &frame[..head_len], &mut bytes, Sum::default());
            }
        }
    }
}

/// P4, F34: what counts is a segment with its headers.
#[test]
fn p4_f34_a_packet_is_as_long_as_its_segments() {
    for (tags, tcp_options, segment_len, packet_len) in
        [(0, 0, 1460, 1500), (1, 0, 1461, 1501), (2, 0, 8960, 9000), (0, 10, 1420, 1500)]
    {
        let len_of = |payload_len| {
            let shape = Packet { tags, tcp_options, segment_len, ..tcp(payload_len) };
            let (frame, offload) = shape.frame();
            let head = &frame[..frame.len().min(HEAD)];
            Cut::new(&offload, head, frame.len()).unwrap().packet_len()
        };
        assert_eq!(len_of(60_000), packet_len);
        assert_eq!(len_of(900), packet_len - usize::from(segment_len) + 900, "one short segment");
    }
}

fn tcp(payload_len: usize) -> Packet {
    Packet {
        tags: 0,
        version: 4,
        options: 0,
        transport: Protocol::Tcp,
        tcp_options: 0,
        tcp_flags: 0x89,
        sequence: u32::MAX - 1000,
        identification: u16::MAX,
        payload: std::vec![7; payload_len],
        segment_len: 1460,
    }
}

#[test]
fn the_longest_packets_of_each_kind() {
    for (version, transport, headers) in [
        (4, Protocol::Tcp, 40),
        (6, Protocol::Tcp, 20),
        (4, Protocol::Udp, 28),
        (6, Protocol::Udp, 8),
    ] {
        let packet = Packet { version, transport, segment_len: 1400, ..tcp(65_535 - headers) };
        let (frame, offload) = packet.frame();
        let segments = cut_up(&frame, &offload).unwrap();
        assert_eq!(segments.len(), (65_535 - headers).div_ceil(1400));
        segments.iter().for_each(|segment| drop(read(segment)));
        let Some(LinkHeader::Ethernet2(_)) = read(&segments[0]).link else { panic!() };
    }
}

/// What is written must not be anything that the switch has read: addresses, ARP, ICMP.
#[test]
fn d9_a_checksum_is_written_where_there_is_one() {
    let (frame, Offload { checksum, .. }) = tcp(600).frame();
    let at = checksum.unwrap().start;
    let check = |frame: &[u8], start, offset| {
        let checksum = Some(PartialChecksum { start, offset });
        Offload { checksum, segments: None }.check(frame, frame.len())
    };
    assert_eq!(check(&frame, at, 16), Ok(()));
    let outside = [(0, 6), (6, 28), (14, 12), (26, 24), (at, 0), (at, 2), (at, 6), (at + 7, 9)];
    for (start, offset) in outside {
        assert_eq!(check(&frame, start, offset), Err(Malformed::Checksum), "{start} {offset}");
    }
    let inside = [(at + 8, 0), (at + 8 + 8 + 20, 16), (at + 100, 6)];
    for (start, offset) in inside {
        assert_eq!(check(&frame, start, offset), Ok(()), "a packet inside: {start} {offset}");
    }
    let end = frame.len() as u16;
    assert_eq!(check(&frame, end - 2, 0), Ok(()));
    for (start, offset) in [(end - 1, 0), (end, 0), (at, end), (u16::MAX, u16::MAX)] {
        assert_eq!(check(&frame, start, offset), Err(Malformed::Checksum), "beyond the end");
    }

    let with = |at: usize, value: [u8; 2]| {
        let mut frame = frame.clone();
        put(&mut frame, at, value);
        frame
    };
    let never = [
        ("ARP", with(12, [8, 6])),
        ("no IP", with(12, [0x88, 0xb5])),
        ("ICMP", with(22, [64, 1])),
        ("ICMPv6", with(22, [64, 58])),
        ("a first fragment", with(20, [0x20, 0])),
        ("a later one", with(20, [0, 9])),
        ("a header cut short", with(14, [0x4f, 0])),
    ];
    for (name, frame) in &never[..6] {
        assert_eq!(check(frame, at + 30, 16), Err(Malformed::Checksum), "{name}");
    }
    assert_eq!(check(&never[6].1[..60], at, 16), Err(Malformed::Checksum), "{}", never[6].0);
}

#[test]
fn d10_what_is_not_cut() {
    let (frame, offload) = tcp(5000).frame();
    let head = &frame[..HEAD];
    let cut = |offload: Offload, head: &[u8], len| offload.check(head, len);
    assert_eq!(cut(offload, head, frame.len()), Ok(()));
    let refused = Err(Malformed::Segments);

    for kind in [SegmentKind::TcpV6, SegmentKind::UdpL4] {
        let segments = Some(Segments { kind, ..offload.segments.unwrap() });
        assert_eq!(cut(Offload { segments, ..offload }, head, frame.len()), refused, "{kind:?}");
    }
    let no_checksum = Offload { checksum: None, ..offload };
    assert_eq!(cut(no_checksum, head, frame.len()), refused);
    for (start, offset) in [(34, 6), (36, 16), (34 + 20, 16), (u16::MAX, u16::MAX)] {
        let checksum = Some(PartialChecksum { start, offset });
        assert_eq!(cut(Offload { checksum, ..offload }, head, frame.len()), refused);
    }
    for len in [frame.len() - 1, frame.len() + 1] {
        assert_eq!(cut(offload, head, len), refused, "IP says another length");
    }
    for head_len in 0..54 {
        assert_eq!(cut(offload, &frame[..head_len], frame.len()), refused, "{head_len}");
    }
    let mut short = frame.clone();
    for words in [0, 4, 15] {
        short[46] = words << 4;
        assert_eq!(cut(offload, &short[..60], frame.len()), refused, "header of {words} words");
    }
    let mut finish = offload;
    assert_eq!(
        finish.finish(&mut frame.clone()[..HEAD], frame.len(), Sum::default()),
        refused,
        "cut, not finished"
    );
}
