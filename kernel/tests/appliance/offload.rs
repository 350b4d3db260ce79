//! Frames that leave something undone, from NICs that leave it to NICs that can do it or cannot.

use drivers::{Abilities, Offload, PartialChecksum, SegmentKind, Segments};
use etherparse::{NetSlice, PacketBuilder, SlicedPacket, TcpHeader, TransportSlice};
use kernel::send::SoftwareCounters;
use lb::{Command, DropReason, GuestSpec, MacAddr, Name, Protocol, RealSpec, ServiceSpec};

use crate::bench::{Bench, Sent, frame, port};

const NONE: Abilities = Abilities { checksum: false, tcp_v4: false, tcp_v6: false, udp: false };
const SUMS: Abilities = Abilities { checksum: true, ..NONE };
const ABILITIES: [(&str, Abilities); 6] = [
    ("none", NONE),
    ("csum", SUMS),
    ("csum, tso4", Abilities { tcp_v4: true, ..SUMS }),
    ("csum, tso6", Abilities { tcp_v6: true, ..SUMS }),
    ("csum, uso", Abilities { udp: true, ..SUMS }),
    ("all", Abilities::ALL),
];

/// What a segment carries where a packet is cut.
const SEGMENT_LEN: usize = 1400;
/// The longest payload that both IP versions take behind TCP's header.
const PAYLOAD_LEN_MAX: usize = 65_535 - 40;

/// One end of a connection.
#[derive(Clone, Copy)]
struct End {
    mac: [u8; 6],
    address: [u8; 4],
    port: u16,
}

const CLIENT: End = End { mac: [0x52, 0x55, 0, 0, 0, 9], address: [10, 0, 2, 2], port: 49_152 };
const VIP: End = End { mac: [2, 0x6c, 10, 0, 2, 100], address: [10, 0, 2, 100], port: 80 };

/// The station at guest port `n`.
fn guest(n: usize) -> End {
    End { mac: [0x52, 0x54, 0, 1, 0, n as u8], address: [10, 0, 2, 20 + n as u8], port: 8080 }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    V4,
    V6,
}

/// What the transport header of a packet says.
#[derive(Clone, Copy)]
enum Segment {
    Syn,
    Data,
    Datagram,
}

/// So many bytes from end to end, as a stack hands them to its NIC: the checksum is begun, and what
/// is too long for a wire is to be cut.
fn packet(from: End, to: End, version: Version, segment: Segment, len: usize) -> Sent {
    let link = PacketBuilder::ethernet2(from.mac, to.mac);
    let long = |[a, b, c, d]: [u8; 4]| [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d];
    let network = match version {
        Version::V4 => link.ipv4(from.address, to.address, 64),
        Version::V6 => link.ipv6(long(from.address), long(to.address), 64),
    };
    let mut bytes = Vec::new();
    let mut header = TcpHeader::new(from.port, to.port, 1000, 4096);
    match segment {
        Segment::Syn => header.syn = true,
        Segment::Data => (header.ack, header.psh) = (true, true),
        Segment::Datagram => {}
    }
    let (transport_len, offset, protocol) = match segment {
        Segment::Syn | Segment::Data => {
            network.tcp_header(header).write(&mut bytes, &numbered(len)).unwrap();
            (20, 16, Protocol::Tcp)
        }
        Segment::Datagram => {
            network.udp(from.port, to.port).write(&mut bytes, &numbered(len)).unwrap();
            (8, 6, Protocol::Udp)
        }
    };
    let start = bytes.len() - len - transport_len;
    let addresses = match version {
        Version::V4 => start - 8..start,
        Version::V6 => start - 32..start,
    };
    let words = bytes[addresses].chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    let sum: u32 = words.map(u32::from).sum();
    let sum = sum + u32::from(protocol.number()) + (transport_len + len) as u32;
    let folded = (sum & 0xffff) + (sum >> 16);
    let folded = (folded & 0xffff) + (folded >> 16);
    bytes[start + offset..][..2].copy_from_slice(&(folded as u16).to_be_bytes());

    let kind = match (protocol, version) {
        (Protocol::Tcp, Version::V4) => SegmentKind::TcpV4,
        (Protocol::Tcp, Version::V6) => SegmentKind::TcpV6,
        (Protocol::Udp, Version::V4 | Version::V6) => SegmentKind::UdpL4,
    };
    let cut = Segments { kind, payload_len: (SEGMENT_LEN as u16).try_into().unwrap() };
    let offload = Offload {
        checksum: Some(PartialChecksum { start: start as u16, offset: offset as u16 }),
        segments: (len > SEGMENT_LEN).then_some(cut),
    };
    (bytes, offload)
}

fn numbered(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at / 5) as u8 ^ (at >> 9) as u8).collect()
}

/// The payload of a frame as a foreign parser reads it; every checksum is summed in full.
fn payload_of(frame: &[u8]) -> Vec<u8> {
    assert!(frame.len() <= 1514, "{} bytes are too many for a wire", frame.len());
    let read = SlicedPacket::from_ethernet(frame).unwrap();
    match (read.net.unwrap(), read.transport.unwrap()) {
        (NetSlice::Ipv4(ip), transport) => {
            let header = ip.header();
            assert_eq!(header.header_checksum(), header.to_header().calc_header_checksum());
            match transport {
                TransportSlice::Tcp(tcp) => {
                    let sum = tcp.calc_checksum_ipv4(header.source(), header.destination());
                    assert_eq!(tcp.checksum(), sum.unwrap());
                    tcp.payload().to_vec()
                }
                TransportSlice::Udp(udp) => {
                    let sum =
                        udp.to_header().calc_checksum_ipv4(&header.to_header(), udp.payload());
                    assert_eq!(udp.checksum(), sum.unwrap());
                    udp.payload().to_vec()
                }
                other => panic!("{other:?}"),
            }
        }
        (NetSlice::Ipv6(ip), TransportSlice::Tcp(tcp)) => {
            let header = ip.header();
            let sum = tcp.calc_checksum_ipv6(header.source(), header.destination());
            assert_eq!(tcp.checksum(), sum.unwrap());
            tcp.payload().to_vec()
        }
        (NetSlice::Ipv6(ip), TransportSlice::Udp(udp)) => {
            let header = ip.header().to_header();
            let sum = udp.to_header().calc_checksum_ipv6(&header, udp.payload());
            assert_eq!(udp.checksum(), sum.unwrap());
            udp.payload().to_vec()
        }
        other => panic!("{other:?}"),
    }
}

impl Bench {
    /// An uplink and two guests whose places are known, so that nothing is flooded; what the other
    /// ends of their cables can do.
    fn of_abilities(abilities: [Abilities; 3]) -> Bench {
        let mut bench = Bench::new(2);
        for (at, able) in abilities.into_iter().enumerate() {
            bench.cables[at].borrow_mut().abilities = able;
        }
        bench.say_hello();
        bench
    }

    /// Everybody says where it is.
    fn say_hello(&mut self) {
        for (at, station) in [CLIENT, guest(1), guest(2)].into_iter().enumerate() {
            let hello = [&[0xff; 6][..], &station.mac, &[0x88, 0xb5], &[0; 46]].concat();
            self.put(at, &hello);
        }
        self.turn();
        (0..3).for_each(|at| drop(self.taken(at)));
    }

    /// The guests are reals of a service at the VIP.
    fn serve(&mut self, protocol: Protocol) {
        let web: Name = "web".parse().unwrap();
        let vip = std::net::Ipv4Addr::from(VIP.address).into();
        let port_number = VIP.port.try_into().unwrap();
        self.apply(Command::SetService(ServiceSpec::new(web.clone(), vip, protocol, port_number)));
        for n in [1, 2] {
            let name: Name = format!("g{n}").parse().unwrap();
            let address = std::net::Ipv4Addr::from(guest(n).address).into();
            self.apply(Command::SetGuest(GuestSpec {
                addresses: [address].into_iter().collect(),
                ..GuestSpec::new(name.clone(), port(n), MacAddr(guest(n).mac))
            }));
            let real = RealSpec {
                port: guest(n).port.try_into().ok(),
                weight: if n == 1 { 100 } else { 0 },
                ..RealSpec::new(name)
            };
            self.apply(Command::SetReal { service: web.clone(), real });
        }
    }

    fn software(&self, at: usize) -> SoftwareCounters {
        *self.appliance.software(port(at)).unwrap()
    }

    fn assert_all_buffers_are_back(&self) {
        assert_eq!(self.pool.free(), self.pool.total());
    }
}

/// Every kind of packet, from every NIC that leaves it undone, to every kind of NIC: it arrives as
/// it was sent where the NIC can do the rest, and done everywhere else.
#[test]
fn f35_each_kind_of_packet_to_each_kind_of_nic() {
    let kinds = [
        (Version::V4, Segment::Data, SegmentKind::TcpV4),
        (Version::V6, Segment::Data, SegmentKind::TcpV6),
        (Version::V4, Segment::Datagram, SegmentKind::UdpL4),
        (Version::V6, Segment::Datagram, SegmentKind::UdpL4),
    ];
    for (name, able) in ABILITIES {
        let mut bench = Bench::of_abilities([NONE, Abilities::ALL, able]);
        for (version, segment, kind) in kinds {
            for len in [0, 1, SEGMENT_LEN, SEGMENT_LEN + 1, 20_001, PAYLOAD_LEN_MAX] {
                let what = format!("{kind:?} {version:?} of {len} bytes to a NIC with {name}");
                let sent = packet(guest(1), guest(2), version, segment, len);
                let before = bench.software(2);
                bench.put_with(1, sent.clone());
                bench.turn();
                let arrived = bench.taken_with(2);
                let after = bench.software(2);
                let is_cut = sent.1.segments.is_some();
                let can = if is_cut { able.segment(kind) } else { able.checksum };
                if can {
                    assert_eq!(arrived, [sent], "{what}");
                    assert_eq!(after, before, "{what}");
                } else {
                    assert!(arrived.iter().all(|(_, undone)| *undone == Offload::default()));
                    let payloads = arrived.iter().map(|(frame, _)| payload_of(frame));
                    assert_eq!(payloads.collect::<Vec<_>>().concat(), numbered(len), "{what}");
                    assert_eq!(arrived.len(), len.div_ceil(SEGMENT_LEN).max(1), "{what}");
                    let cuts = before.soft_cuts + u64::from(is_cut);
                    let checksums = before.soft_checksums + u64::from(!is_cut);
                    assert_eq!((after.soft_cuts, after.soft_checksums), (cuts, checksums));
                }
            }
        }
        bench.assert_all_buffers_are_back();
    }
}

/// F35: 100,000 frames, guest to guest and guest to an uplink that can do nothing: a partial
/// checksum never leaks. [`Bench::taken`] sees that nothing is said to be undone.
#[test]
fn f35_a_hundred_thousand_checksums_are_valid() {
    let mut bench = Bench::of_abilities([NONE, Abilities::ALL, NONE]);
    let mut arrived = 0;
    for turn in 0..3125 {
        if turn % 1000 == 0 {
            bench.say_hello();
        }
        for at in 0..32 {
            let len = (turn * 32 + at) % (SEGMENT_LEN + 1);
            let version = if turn % 2 == 0 { Version::V4 } else { Version::V6 };
            let segment = if at % 3 == 0 { Segment::Datagram } else { Segment::Data };
            let to = if at % 2 == 0 { guest(2) } else { CLIENT };
            bench.put_with(1, packet(guest(1), to, version, segment, len));
        }
        bench.turn();
        for at in [0, 2] {
            for frame in bench.taken(at) {
                payload_of(&frame);
                arrived += 1;
            }
        }
    }
    assert_eq!(arrived, 100_000);
    bench.assert_all_buffers_are_back();
}

/// A balanced connection of a client and a real whose NICs leave everything undone: what is
/// rewritten is right, whether the rest is done here or by a NIC.
#[test]
fn f35_balanced_packets_stay_right_either_way() {
    for able in [NONE, Abilities::ALL] {
        let mut bench = Bench::of_abilities([able; 3]);
        bench.serve(Protocol::Tcp);
        bench.turn();
        (0..3).for_each(|at| drop(bench.taken_with(at)));
        bench.put_with(0, packet(CLIENT, VIP, Version::V4, Segment::Syn, 0));
        bench.turn();
        assert_eq!(bench.taken_with(1).len(), 1, "the connection begins");

        // In each direction: what goes in, where it goes out, and what it would be from there.
        let real = guest(1);
        let seen_by_real = End { mac: MacAddr::SWITCH.0, ..CLIENT };
        for len in [700, 50_000] {
            let data = |from, to| packet(from, to, Version::V4, Segment::Data, len);
            for (ingress, sent, egress, due) in [
                (0, data(CLIENT, VIP), 1, data(seen_by_real, real)),
                (1, data(real, CLIENT), 0, data(VIP, CLIENT)),
            ] {
                bench.put_with(ingress, sent);
                bench.turn();
                let mut arrived = bench.taken_with(egress);
                arrived.retain(|(frame, _)| frame[12..14] == [8, 0]); // and no probes
                if able == Abilities::ALL {
                    assert_eq!(arrived, [due]);
                    continue;
                }
                let payloads = arrived.iter().map(|(frame, _)| payload_of(frame));
                assert_eq!(payloads.collect::<Vec<_>>().concat(), numbered(len));
            }
        }
        bench.assert_all_buffers_are_back();
    }
}

/// A frame for all ports: each gets it as its NIC wants it.
#[test]
fn a_flood_is_done_for_those_that_cannot_do_it() {
    let mut bench = Bench::new(3);
    for (at, able) in [NONE, NONE, SUMS, Abilities::ALL].into_iter().enumerate() {
        bench.cables[at].borrow_mut().abilities = able;
    }
    let stranger = End { mac: [0x52, 0, 0, 0, 0, 7], ..guest(3) };
    let sent = packet(guest(1), stranger, Version::V4, Segment::Data, 20_000);
    bench.put_with(1, sent.clone());
    bench.turn();
    for at in [0, 2] {
        let payloads = bench.taken(at).iter().map(|frame| payload_of(frame)).collect::<Vec<_>>();
        assert_eq!(payloads.concat(), numbered(20_000));
    }
    assert_eq!(bench.taken_with(3), [sent]);
    bench.assert_all_buffers_are_back();
}

/// Segments that find no room or no buffer are lost, counted, and nobody else's trouble.
#[test]
fn a_full_ring_or_an_empty_pool_loses_the_rest_of_a_packet() {
    let sent = packet(guest(1), guest(2), Version::V4, Segment::Data, 20_000);
    let mut bench = Bench::of_abilities([NONE, Abilities::ALL, NONE]);
    bench.cables[2].borrow_mut().room = 5;
    bench.put_with(1, sent.clone());
    bench.turn();
    assert_eq!(bench.taken(2).len(), 5);
    assert_eq!(bench.appliance.nic(port(2)).unwrap().nic.counters().tx_full, 1);
    bench.assert_all_buffers_are_back();

    bench.cables[2].borrow_mut().room = usize::MAX;
    // The packet itself lies in 10 buffers, and none is left for its segments.
    let hoard: Vec<_> = (0..512 - 10).map(|_| bench.pool.take().unwrap()).collect();
    bench.put_with(1, sent.clone());
    bench.turn();
    assert_eq!((bench.taken(2).len(), bench.software(2).soft_no_buffer), (0, 1));
    drop(hoard);
    bench.put_with(1, sent);
    bench.turn();
    assert_eq!((bench.taken(2).len(), bench.software(2).soft_no_buffer), (15, 1));
    bench.assert_all_buffers_are_back();
}

/// A guest asks for a byte in each segment: no more become of it than a ring holds.
#[test]
fn a_packet_becomes_so_many_segments_and_no_more() {
    let (bytes, mut offload) = packet(guest(1), guest(2), Version::V4, Segment::Data, 60_000);
    let payload_len = 1.try_into().unwrap();
    offload.segments = Some(Segments { kind: SegmentKind::TcpV4, payload_len });
    let mut bench = Bench::of_abilities([NONE, Abilities::ALL, NONE]);
    bench.put_with(1, (bytes, offload));
    bench.turn();
    let arrived: Vec<_> = bench.taken(2).iter().map(|frame| payload_of(frame)).collect();
    assert_eq!(arrived.concat(), numbered(256));
    assert_eq!(bench.software(2).soft_too_many, 1);
    bench.assert_all_buffers_are_back();
}

/// D9, D10: numbers that are no checksum's place and no packet's cut go nowhere, whatever the other
/// NIC can do.
#[test]
fn d9_d10_what_cannot_be_done_is_dropped_and_counted() {
    let data = |len| packet(guest(1), guest(2), Version::V4, Segment::Data, len);
    let summed = |start, offset| {
        let checksum = Some(PartialChecksum { start, offset });
        (data(600).0, Offload { checksum, segments: None })
    };
    let cut = |kind, payload_len: u16| {
        let (bytes, offload) = data(20_000);
        let payload_len = payload_len.try_into().unwrap();
        (bytes, Offload { segments: Some(Segments { kind, payload_len }), ..offload })
    };
    let cases = [
        ("D9 over the source MAC", summed(0, 6)),
        ("D9 over the destination address", summed(14, 16)),
        ("D9 over the ports", summed(34, 0)),
        ("D10 TCP cut as UDP", cut(SegmentKind::UdpL4, 1400)),
        ("D10 IPv4 cut as IPv6", cut(SegmentKind::TcpV6, 1400)),
        ("F34 segments of 8,960 bytes", cut(SegmentKind::TcpV4, 8960)),
        ("F34 one byte too many", cut(SegmentKind::TcpV4, 1461)),
    ];
    for (_, able) in ABILITIES {
        for (name, sent) in &cases {
            let mut bench = Bench::of_abilities([NONE, Abilities::ALL, able]);
            let before = bench.appliance.dataplane.endings(port(1)).clone();
            bench.put_with(1, sent.clone());
            bench.turn();
            assert_eq!(bench.taken_with(2), [], "{name}");
            let endings = bench.appliance.dataplane.endings(port(1));
            let dropped = endings.sum() - endings.forwarded - before.sum() + before.forwarded;
            let malformed = bench.software(2).soft_malformed;
            assert_eq!(dropped + malformed, 1, "{name}: counted once");
            assert_eq!((endings.rx, endings.sum()), (before.rx + 1, before.rx + 1));
            bench.assert_all_buffers_are_back();
        }
    }
}

/// A guest's stack leaves the checksum of its reports undone, too.
#[test]
fn a_report_is_read_with_its_checksum_finished() {
    let mut bench = Bench::of_abilities([NONE; 3]);
    bench.serve(Protocol::Tcp);
    let to = End { mac: MacAddr::SWITCH.0, address: [169, 254, 2, 1], port: 3333 };
    let line = b"up 75%";
    let (mut bytes, offload) = packet(guest(1), to, Version::V4, Segment::Datagram, line.len());
    let at = bytes.len() - line.len();
    bytes[at..].copy_from_slice(line);
    bench.put_with(1, (bytes.clone(), offload));
    bench.turn();
    assert_eq!(bench.appliance.dataplane.reports().counters(port(1)).accepted, 1);

    let cut = Segments { kind: SegmentKind::UdpL4, payload_len: 3.try_into().unwrap() };
    bench.put_with(1, (bytes, Offload { segments: Some(cut), ..offload }));
    bench.turn();
    assert_eq!(bench.appliance.dataplane.reports().counters(port(1)).accepted, 1);
    assert_eq!(bench.software(1).soft_malformed, 1, "no report comes in segments");
    bench.assert_all_buffers_are_back();
}

/// A frame with nothing undone is nobody's work.
#[test]
fn plain_frames_cost_nothing() {
    let mut bench = Bench::new(2);
    bench.put(1, &frame(1, 2));
    bench.turn();
    assert_eq!(bench.taken(2), [frame(1, 2)]);
    assert_eq!(bench.software(2), SoftwareCounters::default());
    assert_eq!(bench.appliance.dataplane.endings(port(1)).dropped(DropReason::TooBig), 0);
}
