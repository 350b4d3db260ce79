//! Tags are put on and taken off at the edges of ports, by pointer: nothing else of a frame changes,
//! and what it leaves to a NIC is at its place afterwards.

use drivers::{Abilities, Offload, PartialChecksum, SegmentKind, Segments};
use lb::{Command, DropReason, PortRules, PortVlan, VlanId};

use crate::bench::{Bench, frame, port};

fn id(vlan: u16) -> VlanId {
    VlanId::new(vlan).unwrap()
}

fn access(vlan: u16) -> PortVlan {
    PortVlan::Access(id(vlan))
}

fn trunk(tagged: &str, native: Option<u16>) -> PortVlan {
    PortVlan::Trunk { tagged: Box::new(tagged.parse().unwrap()), native: native.map(id) }
}

/// The frame with this tag.
fn tagged(frame: &[u8], tag: [u8; 4]) -> Vec<u8> {
    [&frame[..12], &tag, &frame[12..]].concat()
}

fn ten(frame: &[u8]) -> Vec<u8> {
    tagged(frame, [0x81, 0, 0, 10])
}

impl Bench {
    /// A transparent uplink, and guest ports with these VLANs.
    fn of_vlans(vlans: &[PortVlan]) -> Bench {
        let mut bench = Bench::new(vlans.len());
        for (at, vlan) in vlans.iter().enumerate() {
            let rules = PortRules { vlan: vlan.clone(), ..PortRules::default() };
            bench.apply(Command::SetPortRules { port: port(at + 1), rules });
        }
        bench
    }

    /// What comes out of each port after a frame was put in at one.
    fn given(&mut self, at: usize, frame: &[u8]) -> Vec<Vec<Vec<u8>>> {
        self.put(at, frame);
        self.turn();
        let taken = (0..self.cables.len()).map(|at| self.taken(at)).collect();
        assert_eq!(self.pool.free(), self.pool.total(), "every buffer comes back");
        taken
    }

    fn dropped(&self, at: usize, reason: DropReason) -> u64 {
        let endings = self.appliance.dataplane.endings(port(at));
        assert_eq!(endings.rx, endings.sum());
        endings.dropped(reason)
    }
}

#[test]
fn a_flooded_frame_leaves_by_each_port_as_its_far_end_expects() {
    let ports = [access(10), access(10), access(20), trunk("10,20", None), trunk("20", Some(10))];
    let mut bench = Bench::of_vlans(&ports);
    let plain = frame(1, 0xff);
    let with_tag = ten(&plain);
    let none = vec![];
    let one = |frame: &Vec<u8>| vec![frame.clone()];
    let out = bench.given(1, &plain);
    let expected = [&with_tag, &plain, &plain, &plain, &with_tag, &plain].map(one);
    for (at, expected) in expected.iter().enumerate() {
        let is_in_it = ![1, 3].contains(&at);
        assert_eq!(&out[at], if is_in_it { expected } else { &none }, "port {at}");
    }
    let out = bench.given(0, &ten(&frame(9, 0xff)));
    let plain = frame(9, 0xff);
    let expected = [none.clone(), one(&plain), one(&plain), none, one(&ten(&plain)), one(&plain)];
    assert_eq!(out, expected, "from a transparent port, by its tag");
}

#[test]
fn a_known_station_is_reached_by_what_its_port_expects() {
    let mut bench = Bench::of_vlans(&[access(10), trunk("20", Some(10)), trunk("10", None)]);
    bench.given(1, &frame(1, 0xff));
    bench.given(2, &frame(2, 0xff));
    bench.given(3, &ten(&frame(3, 0xff)));
    let nothing = vec![];
    for (from, to, sent, expected) in [
        (2, 1, frame(2, 1), frame(2, 1)),
        (3, 1, ten(&frame(3, 1)), frame(3, 1)),
        (1, 2, frame(1, 2), frame(1, 2)),
        (1, 3, frame(1, 3), ten(&frame(1, 3))),
    ] {
        let mut all = vec![nothing.clone(); 4];
        all[to] = vec![expected];
        assert_eq!(bench.given(from, &sent), all, "{from} to {to}");
    }
}

#[test]
fn the_priority_of_a_tag_is_kept_where_there_is_one() {
    let mut bench = Bench::of_vlans(&[access(10), trunk("10", None), trunk("20", Some(10))]);
    let urgent = tagged(&frame(1, 0xff), [0x81, 0, 0xb0, 0]);
    let named = tagged(&frame(1, 0xff), [0x81, 0, 0xb0, 10]);
    let out = bench.given(1, &urgent);
    assert_eq!(out[0], std::slice::from_ref(&named));
    assert_eq!([&out[2], &out[3]], [&vec![named], &vec![frame(1, 0xff)]]);
    let dear = tagged(&frame(2, 0xff), [0x88, 0xa8, 0xf0, 10]);
    assert_eq!(bench.given(2, &dear)[0], [dear], "and so is a service tag's type");
}

#[test]
fn what_may_not_come_in_ends_once_and_the_rest_of_its_batch_goes_on() {
    let mut bench = Bench::of_vlans(&[access(10), trunk("20", None)]);
    for sent in [frame(1, 9), ten(&frame(1, 9)), frame(1, 8)] {
        bench.put(1, &sent);
    }
    assert_eq!(bench.given(2, &frame(2, 9))[0], [ten(&frame(1, 9)), ten(&frame(1, 8))]);
    assert_eq!([1, 2].map(|at| bench.dropped(at, DropReason::VlanIngress)), [1, 1]);
    let rx = |at| bench.appliance.dataplane.endings(port(at)).rx;
    assert_eq!([1, 2].map(rx), [3, 1]);
}

#[test]
fn a_full_frame_is_no_longer_for_its_tag() {
    let mut bench = Bench::of_vlans(&[access(10), access(10)]);
    let mut full = frame(1, 0xff);
    full.resize(1514, 7);
    let out = bench.given(1, &full);
    assert_eq!((&out[0], &out[2]), (&vec![ten(&full)], &vec![full.clone()]));
    full.push(7);
    assert!(bench.given(1, &full).iter().all(Vec::is_empty));
    assert_eq!(bench.dropped(1, DropReason::TooBig), 1);
}

/// UDP from 10.0.2.21 to 10.0.2.22 whose checksum is begun.
fn datagram(len: usize) -> (Vec<u8>, Offload) {
    let builder = etherparse::PacketBuilder::ethernet2([0x52, 0, 0, 0, 0, 1], [0xff; 6])
        .ipv4([10, 0, 2, 21], [10, 0, 2, 22], 64)
        .udp(1000, 2000);
    let mut bytes = Vec::new();
    builder.write(&mut bytes, &vec![5; len]).unwrap();
    let words = bytes[26..34].chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    let sum = words.map(u32::from).sum::<u32>() + 17 + (8 + len) as u32;
    let sum = (sum & 0xffff) + (sum >> 16);
    bytes[40..42].copy_from_slice(&(((sum & 0xffff) + (sum >> 16)) as u16).to_be_bytes());
    let checksum = Some(PartialChecksum { start: 34, offset: 6 });
    let payload_len = 1000.try_into().unwrap();
    let segments = (len > 1000).then_some(Segments { kind: SegmentKind::UdpL4, payload_len });
    (bytes, Offload { checksum, segments })
}

fn moved(offload: Offload, by: u16) -> Offload {
    let checksum = offload.checksum.map(|its| PartialChecksum { start: its.start + by, ..its });
    Offload { checksum, ..offload }
}

/// To NICs that can do the rest it goes with its tag and without; for one that cannot it is done,
/// behind the tag and without one.
#[test]
fn what_is_left_to_a_nic_moves_with_the_tag() {
    let ports = [access(10), access(10), access(10), trunk("10", None)];
    for len in [100, 2500] {
        let mut bench = Bench::of_vlans(&ports);
        for at in [0, 1, 2] {
            bench.cables[at].borrow_mut().abilities = Abilities::ALL;
        }
        let (bytes, offload) = datagram(len);
        bench.put_with(1, (bytes.clone(), offload));
        bench.turn();
        assert_eq!(bench.taken_with(0), [(ten(&bytes), moved(offload, 4))], "tagged");
        assert_eq!(bench.taken_with(2), [(bytes, offload)], "as it came");
        let whole = [bench.taken(3), bench.taken(4)];
        let payload = |frame: &Vec<u8>| {
            let read = etherparse::SlicedPacket::from_ethernet(frame).unwrap();
            let (Some(etherparse::NetSlice::Ipv4(ip)), Some(etherparse::TransportSlice::Udp(udp))) =
                (read.net, read.transport)
            else {
                panic!("{frame:x?}")
            };
            let sum = udp.to_header().calc_checksum_ipv4(&ip.header().to_header(), udp.payload());
            assert_eq!(udp.checksum(), sum.unwrap());
            udp.payload().to_vec()
        };
        for (at, frames) in whole.iter().enumerate() {
            assert_eq!(frames.iter().flat_map(payload).collect::<Vec<_>>(), vec![5; len]);
            let tags = frames.iter().map(|frame| frame[12..16] == [0x81, 0, 0, 10]);
            assert!(tags.clone().all(|tag| tag == (at == 1)), "port {}", at + 3);
        }
        assert_eq!(bench.pool.free(), bench.pool.total());
    }
}

/// What the switch itself says goes the same way: here, where its VIP is.
#[test]
fn what_the_switch_says_passes_the_edges_too() {
    let mut bench = Bench::of_vlans(&[access(10), access(20), trunk("10", None)]);
    let vip = std::net::Ipv4Addr::new(10, 0, 2, 100).into();
    let port_number = 80.try_into().unwrap();
    let name = "web".parse().unwrap();
    let spec = lb::ServiceSpec::new(name, vip, lb::Protocol::Tcp, port_number);
    bench.apply(Command::SetService(lb::ServiceSpec { vlan: 10, ..spec }));
    bench.turn();
    let first = |at: usize| bench.taken(at).into_iter().next();
    let heard = [0, 1, 2, 3].map(first);
    let untagged = heard[1].clone().expect("its VLAN is told where it is");
    assert_eq!(untagged[12..14], [8, 6]);
    assert_eq!(heard, [Some(ten(&untagged)), Some(untagged.clone()), None, Some(ten(&untagged))]);
}

#[test]
fn a_port_without_vlans_of_its_own_passes_every_tag() {
    let mut bench = Bench::new(2);
    for tags in [&[][..], &[0x81, 0, 0x60, 10], &[0x81, 0, 0, 0], &[0x81, 0, 0, 10, 0x81, 0, 0, 20]]
    {
        let plain = frame(1, 0xff);
        let sent = [&plain[..12], tags, &plain[12..]].concat();
        assert_eq!(bench.given(1, &sent), [vec![sent.clone()], vec![], vec![sent]]);
    }
}
