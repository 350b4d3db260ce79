//! Every kind of port meets every kind of frame.

use super::*;
use proptest::prelude::*;
use std::string::ToString;
use std::vec::Vec;

fn id(number: u16) -> VlanId {
    VlanId::new(number).unwrap()
}

fn trunk(tagged: &str, native: Option<u16>) -> PortVlan {
    PortVlan::Trunk { tagged: Box::new(tagged.parse().unwrap()), native: native.map(id) }
}

/// A frame with these bytes where its type would be.
fn frame(tags: &[u8]) -> Vec<u8> {
    [&[0x52; 12][..], tags, &[0x88, 0xb5], &[0; 46]].concat()
}

const UNTAGGED: &[u8] = &[];
const PRIORITY: &[u8] = &[0x81, 0, 0xa0, 0];
const TEN: &[u8] = &[0x81, 0, 0xa0, 10];
const TWENTY: &[u8] = &[0x81, 0, 0, 20];
const SERVICE_TEN: &[u8] = &[0x88, 0xa8, 0, 10];
const TEN_IN_TEN: &[u8] = &[0x81, 0, 0, 10, 0x81, 0, 0, 10];
const TWENTY_IN_TEN: &[u8] = &[0x81, 0, 0, 10, 0x81, 0, 0, 20];
const TWENTY_IN_PRIORITY: &[u8] = &[0x81, 0, 0, 0, 0x81, 0, 0, 20];

#[test]
fn p9_what_comes_in_by_every_kind_of_port() {
    let access = PortVlan::Access(id(10));
    let refused = Err(DropReason::VlanIngress);
    let (as_is, push, named) = (Ok(Entry::AsIs), Ok(Entry::Push(id(10))), Ok(Entry::Name(id(10))));
    // By access 10, trunk 10, trunk 20 native 10.
    let cases = [
        ("untagged", UNTAGGED, [push, refused, push]),
        ("priority", PRIORITY, [named, refused, named]),
        ("its own VLAN", TEN, [refused, as_is, as_is]),
        ("another VLAN", TWENTY, [refused, refused, as_is]),
        ("a service tag", SERVICE_TEN, [refused, as_is, as_is]),
        ("two tags", TWENTY_IN_TEN, [refused, as_is, as_is]),
        ("a tag behind a priority", TWENTY_IN_PRIORITY, [refused, refused, refused]),
    ];
    let ports = [access, trunk("10", None), trunk("20", Some(10))];
    for (what, tags, expected) in cases {
        let frame = frame(tags);
        assert_eq!(ports.each_ref().map(|port| port.enter(&frame)), expected, "{what}");
        assert_eq!(PortVlan::Transparent.enter(&frame), Ok(Entry::AsIs), "{what}");
    }
    for broken in [&frame(&[])[..13], &frame(TEN)[..17], &frame(&[0x81, 0, 0x0f, 0xff])] {
        assert!(Ethernet::parse(broken).is_err());
        for port in &ports {
            assert_eq!(port.enter(broken), Ok(Entry::AsIs), "those who parse it say why");
        }
    }
}

#[test]
fn what_leaves_by_every_kind_of_port() {
    use Departure::{AsIs, Never, Pop};
    let cases = [
        ("untagged", UNTAGGED, [Never, Never, Never]),
        ("its own VLAN", TEN, [Pop, AsIs, Pop]),
        ("a service tag", SERVICE_TEN, [Pop, AsIs, Pop]),
        ("another VLAN", TWENTY, [Never, Never, AsIs]),
        ("a tag that would come to light", TWENTY_IN_TEN, [Never, AsIs, Never]),
        ("the same, of the same VLAN", TEN_IN_TEN, [Never, AsIs, Never]),
    ];
    let ports = [PortVlan::Access(id(10)), trunk("10", None), trunk("20", Some(10))];
    for (what, tags, expected) in cases {
        let frame = frame(tags);
        assert_eq!(ports.each_ref().map(|port| port.leave(&frame)), expected, "{what}");
        assert_eq!(PortVlan::Transparent.leave(&frame), AsIs, "{what}");
    }
}

#[test]
fn who_carries_what_and_meets_whom() {
    let access = PortVlan::Access(id(10));
    let both = trunk("20-21", Some(10));
    let carried =
        |port: &PortVlan| (0..=4095).filter(|&vlan| port.carries(vlan)).collect::<Vec<u16>>();
    assert_eq!(carried(&access), [10]);
    assert_eq!(carried(&both), [10, 20, 21]);
    assert_eq!(carried(&PortVlan::Transparent).len(), VLANS);
    assert_eq!(
        [&access, &both, &trunk("20", None)].map(PortVlan::of_untagged),
        [Some(10), Some(10), None]
    );
    let meetings = [
        (&access, &both, true),
        (&access, &trunk("10", None), true),
        (&access, &trunk("20", None), false),
        (&access, &PortVlan::Transparent, true),
        (&access, &PortVlan::Access(id(11)), false),
    ];
    for (one, other, meet) in meetings {
        assert_eq!((one.meets(other), other.meets(one)), (meet, meet), "{one:?} {other:?}");
    }
}

#[test]
fn texts_of_sets() {
    for (text, canonical) in [
        ("1", Ok("1")),
        ("10,20", Ok("10,20")),
        ("20,10,11,12", Ok("10-12,20")),
        ("5-5", Ok("5")),
        ("1-4094", Ok("1-4094")),
        ("63-64,62", Ok("62-64")),
        ("0", Err(VlanError::OutOfRange)),
        ("4095", Err(VlanError::OutOfRange)),
        ("70000", Err(VlanError::OutOfRange)),
        ("10,", Err(VlanError::NotANumber)),
        ("-10", Err(VlanError::NotANumber)),
        ("10-9", Err(VlanError::Backwards)),
        ("ten", Err(VlanError::NotANumber)),
    ] {
        let read = text.parse::<VlanSet>().map(|set| set.to_string());
        assert_eq!(read, canonical.map(ToString::to_string), "{text}");
    }
}

proptest! {
    #[test]
    fn what_is_printed_is_parsed(numbers in proptest::collection::btree_set(1u16..=4094, 1..200)) {
        let set: VlanSet = numbers.iter().map(|&number| id(number)).collect();
        prop_assert_eq!(set.to_string().parse(), Ok(set));
        let said: Vec<_> = numbers.iter().map(ToString::to_string).collect();
        prop_assert!(set.to_string().len() <= said.join(",").len());
    }

    #[test]
    fn no_edge_panics(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        for port in [PortVlan::Access(id(10)), trunk("1-4094", None), trunk("20", Some(10))] {
            let _ = (port.enter(&bytes), port.leave(&bytes));
        }
    }
}
