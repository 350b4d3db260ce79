//! Every kind of packet of every kind of service, frame in, frame out. What must come out follows
//! from a model that fits in the head: [`Case::expected`]. What did come out is read by a foreign
//! parser that sums every checksum in full.
//!
//! ```text
//!   {nat, direct} × {IPv4, IPv6} × {TCP, UDP, ICMP error about either, fragments}
//!     × {first, later, reply} × {untagged, VLAN 10} × {client outside, another guest, the real itself}
//! ```
//!
//! TCP and UDP once more with a checksum that is left to a NIC.

mod world;

use lb::wire::Offload;
use lb::wire::checksum::Sum;
use lb::wire::ip::Version;
use lb::wire::offload::{Cut, PartialChecksum, SegmentKind, Segments};
use lb::*;
use world::*;

const CLIENT_PORT: u16 = 40_000;
/// The guest with the real, and the guest that calls it.
const REAL: usize = 1;
const NEIGHBOR: usize = 2;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Tcp,
    Udp,
    /// About a packet that came the other way: one end says "port unreachable".
    ErrorAboutTcp,
    ErrorAboutUdp,
    Fragments,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Turn {
    /// Of the flow; an error is the real's about the flow's first packet.
    First,
    /// From the client; an error is the client's about a packet of the real.
    Later,
    /// From the real; an error is about a later packet of the client.
    Reply,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Caller {
    Outside,
    Neighbor,
    Itself,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Sums {
    Finished,
    /// Only the pseudo header is summed; a NIC is to do the rest.
    LeftToNic,
}

#[derive(Clone, Copy, Debug)]
struct Case {
    served: Served,
    kind: Kind,
    turn: Turn,
    caller: Caller,
    sums: Sums,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Expected {
    Out { port: usize, ends: Ends },
    Drop(DropReason),
}

fn cases() -> impl Iterator<Item = Case> {
    const KINDS: [Kind; 5] =
        [Kind::Tcp, Kind::Udp, Kind::ErrorAboutTcp, Kind::ErrorAboutUdp, Kind::Fragments];
    let product = SERVED.into_iter().flat_map(|served| {
        KINDS.into_iter().flat_map(move |kind| {
            [Turn::First, Turn::Later, Turn::Reply].into_iter().flat_map(move |turn| {
                [Caller::Outside, Caller::Neighbor, Caller::Itself].into_iter().flat_map(
                    move |caller| {
                        [Sums::Finished, Sums::LeftToNic].map(|sums| Case {
                            served,
                            kind,
                            turn,
                            caller,
                            sums,
                        })
                    },
                )
            })
        })
    });
    product.filter(|case| {
        let protocol = match case.kind {
            Kind::Tcp | Kind::ErrorAboutTcp => Protocol::Tcp,
            Kind::Udp | Kind::ErrorAboutUdp | Kind::Fragments => Protocol::Udp,
        };
        let has_sums = matches!(case.kind, Kind::Tcp | Kind::Udp);
        case.served.protocol == protocol && (case.sums == Sums::Finished || has_sums)
    })
}

impl Case {
    /// The client's port and the ends of what it sends.
    fn call(&self) -> (usize, Ends) {
        match self.caller {
            Caller::Outside => (UPLINK, self.served.call(CLIENT_PORT)),
            Caller::Neighbor => (NEIGHBOR, self.served.call_of_guest(NEIGHBOR, CLIENT_PORT)),
            Caller::Itself => (REAL, self.served.call_of_guest(REAL, CLIENT_PORT)),
        }
    }

    /// The ends of what the real sends: to the client's MAC, or to that of its gateway.
    fn answer(&self) -> Ends {
        let (_, call) = self.call();
        let next_hop = match self.caller {
            Caller::Outside | Caller::Neighbor => call.source_mac,
            Caller::Itself => CLIENT_MAC,
        };
        self.at_real().reversed_to(next_hop)
    }

    fn at_real(&self) -> Ends {
        let (_, call) = self.call();
        match self.has_flow() {
            true => self.served.at_real(REAL, call),
            // Nobody ever sees it.
            false => Ends { destination_mac: guest_mac(REAL), ..call },
        }
    }

    fn is_to_real(&self) -> bool {
        match self.kind {
            Kind::Tcp | Kind::Udp | Kind::Fragments => self.turn != Turn::Reply,
            Kind::ErrorAboutTcp | Kind::ErrorAboutUdp => self.turn == Turn::Later,
        }
    }

    /// `direct` gives no guest its own call back.
    fn has_flow(&self) -> bool {
        (self.served.forwarding, self.caller) != (Forwarding::Direct, Caller::Itself)
    }

    /// The model.
    fn expected(&self) -> Expected {
        let (client_port, call) = self.call();
        if !self.has_flow() {
            return Expected::Drop(match (self.is_to_real(), self.kind, self.turn) {
                (false, ..) => DropReason::VipSource,
                (true, Kind::ErrorAboutTcp | Kind::ErrorAboutUdp, _) => DropReason::IcmpInner,
                (true, Kind::Tcp, Turn::Later) => DropReason::NoFlow,
                (true, ..) => DropReason::Hairpin,
            });
        }
        match self.is_to_real() {
            true => Expected::Out { port: REAL, ends: self.at_real() },
            false => Expected::Out { port: client_port, ends: call.reversed() },
        }
    }

    /// What is said before: all of the flow up to the packet of this case.
    fn world(&self) -> World {
        let mut world = World::new(NEIGHBOR);
        world.apply(Command::SetService(self.served.spec("web")));
        world.define(REAL);
        world.define(NEIGHBOR);
        world.set_real("web", REAL, self.served.real_port(), 100);
        world.settle();
        let packet = |ends, flags| self.served.packet(ends, flags, b"");
        let (client_port, call) = self.call();
        let is_error = matches!(self.kind, Kind::ErrorAboutTcp | Kind::ErrorAboutUdp);
        let before = match (self.turn, is_error) {
            (Turn::First, false) => 0,
            (Turn::First, true) => 1,
            (Turn::Later | Turn::Reply, _) => 3,
        };
        let said = [
            (client_port, packet(call, "S")),
            (REAL, packet(self.answer(), "SA")),
            (client_port, packet(call, "A")),
        ];
        for (ingress, frame) in said.iter().take(before) {
            let ended = world.send(*ingress, frame);
            assert_eq!(ended.is_ok(), self.has_flow(), "{self:?}");
        }
        world
    }

    fn run(&self) {
        match self.kind {
            Kind::Tcp | Kind::Udp => self.run_segment(),
            Kind::ErrorAboutTcp | Kind::ErrorAboutUdp => self.run_error(),
            Kind::Fragments => self.run_fragments(),
        }
    }

    fn run_segment(&self) {
        let payload = b"an odd number of bytes.";
        let flags = if self.turn == Turn::First { "S" } else { "A" };
        let (ingress, ends) = self.sent();
        let mut frame = self.served.packet(ends, flags, payload);
        let mut offload = Offload::default();
        if self.sums == Sums::LeftToNic {
            offload = leave_checksum(&mut frame, &ends, self.served.protocol);
        }
        match self.world().send_offloaded(ingress, &frame, &mut offload) {
            Err(reason) => assert_eq!(Expected::Drop(reason), self.expected(), "{self:?}"),
            Ok(mut out) => {
                let len = out.frame.len();
                let finished = offload.finish(&mut out.frame, len, Sum::default());
                finished.expect("finished in software");
                let (ends, read_payload) = read(&out.frame);
                let [port] = out.ports[..] else { panic!("{self:?}: {out:?}") };
                assert_eq!(Expected::Out { port, ends }, self.expected(), "{self:?}");
                assert_eq!(read_payload, payload, "{self:?}");
            }
        }
    }

    fn run_error(&self) {
        let mut world = self.world();
        let (client_port, call) = self.call();
        // What is complained of: as it was sent, and as it arrived.
        let (ingress, ends, complained) = match self.is_to_real() {
            true => (client_port, call, (self.answer(), call.reversed())),
            false => (REAL, self.answer(), (call, self.at_real())),
        };
        let flags = if self.turn == Turn::First { "S" } else { "A" };
        let [sent, arrived] = [complained.0, complained.1].map(|ends| {
            let frame = self.served.packet(ends, flags, b"an odd number of bytes.");
            frame[ends.ip_at()..].to_vec()
        });
        let (kind, code) = match self.served.version {
            Version::V4 => (3, 3),
            Version::V6 => (1, 4),
        };
        let frame = ends.icmp(kind, code, [0; 4], &arrived);
        match world.send(ingress, &frame) {
            Err(reason) => assert_eq!(Expected::Drop(reason), self.expected(), "{self:?}"),
            Ok(out) => {
                let packet = read_packet(&out.frame);
                let Expected::Out { port, mut ends } = self.expected() else {
                    panic!("{self:?}: {packet:?}")
                };
                (ends.source.1, ends.destination.1) = (0, 0);
                assert_eq!((out.ports, packet.ends), (vec![port], ends), "{self:?}");
                let carries = Carries::Icmp { kind, code, rest: [0; 4] };
                assert_eq!((packet.carries, packet.payload), (carries, sent), "{self:?}");
            }
        }
    }

    fn run_fragments(&self) {
        let payload: Vec<u8> = (0..3001).map(|at| (at % 251) as u8).collect();
        let (ingress, ends) = self.sent();
        let parts = cut(&ends.udp(&payload), &ends, 7, 1400);
        let mut world = self.world();
        let mut outs = Vec::new();
        for part in &parts {
            match (world.send(ingress, part), self.expected()) {
                (Ok(out), Expected::Out { port, .. }) if out.ports == [port] => {
                    outs.push(out.frame);
                }
                // Without a first fragment the others are held.
                (Err(reason), Expected::Drop(expected)) if reason == expected => return,
                (ended, expected) => panic!("{self:?}: {ended:?}, not {expected:?}"),
            }
        }
        let (ends, read_payload) = read_parts(&outs);
        let port = if self.is_to_real() { REAL } else { self.call().0 };
        assert_eq!(Expected::Out { port, ends }, self.expected(), "{self:?}");
        assert!(read_payload == payload, "{self:?}");
    }

    /// Where this case's packet comes from, and its ends.
    fn sent(&self) -> (usize, Ends) {
        match self.turn {
            Turn::First | Turn::Later => self.call(),
            Turn::Reply => (REAL, self.answer()),
        }
    }
}

/// Undoes a finished checksum but for the sum over the pseudo header.
fn leave_checksum(frame: &mut [u8], ends: &Ends, protocol: Protocol) -> Offload {
    let start = ends.payload_at();
    let offset = match protocol {
        Protocol::Tcp => 16,
        Protocol::Udp => 6,
    };
    let (source, destination) = (ends.source.0, ends.destination.0);
    let sum = pseudo_header(source, destination, protocol.number(), frame.len() - start);
    let field = (!sum.ones_complement()).to_ne_bytes();
    frame[start + offset..start + offset + 2].copy_from_slice(&field);
    let checksum = PartialChecksum { start: start as u16, offset: offset as u16 };
    Offload { checksum: Some(checksum), segments: None }
}

#[test]
fn every_packet_of_every_service() {
    let mut count = 0;
    for case in cases() {
        case.run();
        count += 1;
    }
    // Eight services; seven kinds, two of them with their sums left over; turns; callers.
    assert_eq!(count, 8 * 7 * 3 * 3);
}

/// A packet that a NIC is to cut: the segments, cut in software, are as if they had come one by one.
#[test]
fn a_packet_that_stands_for_several() {
    for served in SERVED {
        let call = served.call(CLIENT_PORT);
        let at_real = served.at_real(REAL, call);
        let payload: Vec<u8> = (0..4001).map(|at| (at % 251) as u8).collect();
        let mut world = World::serving_as(REAL, served);
        world.send(UPLINK, &served.packet(call, "S", b"")).unwrap();
        let answer = at_real.reversed_to(CLIENT_MAC);
        for (ingress, ends, expected) in [(UPLINK, call, at_real), (REAL, answer, call.reversed())]
        {
            let mut frame = served.packet(ends, "A", &payload);
            let kind = match (served.protocol, served.version) {
                (Protocol::Udp, _) => SegmentKind::UdpL4,
                (Protocol::Tcp, Version::V4) => SegmentKind::TcpV4,
                (Protocol::Tcp, Version::V6) => SegmentKind::TcpV6,
            };
            let payload_len = 1400.try_into().unwrap();
            let mut offload = leave_checksum(&mut frame, &ends, served.protocol);
            offload.segments = Some(Segments { kind, payload_len });
            let out = world.send_offloaded(ingress, &frame, &mut offload).unwrap();
            let cut = Cut::new(&offload, &out.frame, out.frame.len()).unwrap();
            let mut received = Vec::new();
            for segment in cut.segments() {
                let mut frame = vec![0; cut.headers_len()];
                frame.extend(&out.frame[segment.payload.clone()]);
                cut.write(&segment, &out.frame, &mut frame, Sum::default());
                let (ends, payload) = read(&frame);
                assert_eq!(ends, expected, "{served:?}");
                received.extend(payload);
            }
            assert!(received == payload, "{served:?}");
        }
    }
}
