//! Both ways, what a switch in a rack really says, and what somebody says who means harm.

use std::string::ToString;
use std::vec;
use std::vec::Vec;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn tlv(kind: u8, value: &[u8]) -> Vec<u8> {
    let head = u16::from(kind) << 9 | value.len() as u16;
    [&head.to_be_bytes()[..], value].concat()
}

fn chassis() -> Vec<u8> {
    tlv(1, &[4, 2, 0, 0, 0, 0, 7])
}

fn port() -> Vec<u8> {
    tlv(2, b"\x05Eth1/1")
}

fn ttl(seconds: u16) -> Vec<u8> {
    tlv(3, &seconds.to_be_bytes())
}

/// The three that must be there, and these.
fn said(more: &[&[u8]]) -> Vec<u8> {
    [&chassis()[..], &port(), &ttl(120), &more.concat()].concat()
}

fn plain() -> Advertisement {
    Advertisement::new(Id::mac(MacAddr([2, 0, 0, 0, 0, 7])), Id::name("Eth1/1"), 120)
}

#[test]
fn what_a_switch_says() {
    let bytes = said(&[
        &tlv(4, b"to the third rack"),
        &tlv(5, b"leaf1"),
        &tlv(6, b"a switch"),
        &tlv(7, &[0, 0x14, 0, 4]),
        &tlv(8, &[5, 1, 192, 0, 2, 1, 2, 0, 0, 0, 9, 0]),
        &tlv(8, &[5, 1, 192, 0, 2, 2, 2, 0, 0, 0, 9, 0]),
        &tlv(8, &[7, 6, 2, 0, 0, 0, 0, 7, 2, 0, 0, 0, 9, 0]),
        &tlv(127, &[0, 0x80, 0xc2, 1, 0, 10]),
        &tlv(0, &[]),
        &[0; 9],
    ]);
    let read = Advertisement::parse(&bytes).unwrap();
    let expected = Advertisement {
        system_name: Some(text(b"leaf1")),
        description: Some(text(b"a switch")),
        capabilities: Some([0x14, BRIDGE]),
        management: [IpAddr::from([192, 0, 2, 1])].into_iter().collect(),
        ..plain()
    };
    assert_eq!(read, expected);
    assert_eq!(read.chassis.as_mac().map(|mac| mac.to_string()), Some("02:00:00:00:00:07".into()));
    assert_eq!((read.port.as_mac(), read.port.as_address()), (None, None));
    let by_address = [&tlv(1, &[5, 1, 192, 0, 2, 9])[..], &tlv(2, b"\x07x"), &ttl(0)].concat();
    let read = Advertisement::parse(&by_address).unwrap();
    assert_eq!(read.chassis.as_address(), Some(IpAddr::from([192, 0, 2, 9])));
    assert_eq!((read.port.kind, read.ttl_s), (IdKind::Other(7), 0));
}

#[test]
fn what_cannot_be_believed() {
    let end = tlv(0, &[]);
    let long = [&[0x02u8 | 1, 0xff][..], &[4; 511]].concat();
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", vec![]),
        ("half a TLV's head", vec![2]),
        ("only an end", end.clone()),
        ("no time to live", [chassis(), port()].concat()),
        ("another order", [port(), chassis(), ttl(9)].concat()),
        ("a chassis without a sort", [tlv(1, &[]), port(), ttl(9)].concat()),
        ("a chassis without bytes", [tlv(1, &[4]), port(), ttl(9)].concat()),
        ("a chassis of 510 bytes", [long, port(), ttl(9)].concat()),
        ("half a time to live", [chassis(), port(), tlv(3, &[9])].concat()),
        ("two chassis", said(&[&chassis(), &end])),
        ("two times to live", said(&[&ttl(1), &end])),
        ("a TLV longer than the frame", said(&[&tlv(5, b"leaf1")[..6]])),
        ("one byte behind the last TLV", said(&[&tlv(5, b"leaf1"), &[1]])),
    ];
    for (what, bytes) in cases {
        assert_eq!(Advertisement::parse(&bytes), Err(Malformed), "{what}");
    }
}

#[test]
fn what_makes_no_sense_is_skipped() {
    for (what, tlv) in [
        ("half of the capabilities", tlv(7, &[0, 4, 0])),
        ("an address of no bytes", tlv(8, &[0])),
        ("an address without a family", tlv(8, &[])),
        ("an address longer than its TLV", tlv(8, &[200, 1, 192, 0, 2, 1])),
        ("an address of another length", tlv(8, &[4, 1, 192, 0, 2])),
        ("a type that nobody knows", tlv(99, b"?")),
    ] {
        assert_eq!(Advertisement::parse(&said(&[&tlv])), Ok(plain()), "{what}");
    }
    let name = |text| Advertisement { system_name: Some(text), ..plain() };
    let twice = said(&[&tlv(5, b"a"), &tlv(5, b"b")]);
    assert_eq!(Advertisement::parse(&twice), Ok(name(text(b"a"))), "the first name");
    let longest = said(&[&tlv(5, &[0xff; 511])]);
    let kept = name(text(&[0xff; TEXT_BYTES_MAX]));
    assert_eq!(Advertisement::parse(&longest), Ok(kept), "bytes, cut");
    let behind = said(&[&tlv(0, &[]), &tlv(5, b"a")]);
    assert_eq!(Advertisement::parse(&behind), Ok(plain()), "nothing behind the end");
}

fn words() -> impl Strategy<Value = Text> {
    vec(any::<u8>(), 1..=40).prop_map(|bytes| text(&bytes))
}

fn identity(numbers: Numbers) -> impl Strategy<Value = Id> {
    (any::<u8>(), words()).prop_map(move |(number, bytes)| Id { kind: numbers.kind(number), bytes })
}

fn advertisement() -> impl Strategy<Value = Advertisement> {
    let management = (any::<Option<[u8; 4]>>(), any::<Option<[u8; 16]>>());
    let management = management.prop_map(|(v4, v6)| {
        let both = [v4.map(IpAddr::from), v6.map(IpAddr::from)];
        both.into_iter().flatten().collect()
    });
    let texts = (prop::option::of(words()), prop::option::of(words()));
    let ids = (identity(OF_CHASSIS), identity(OF_PORT));
    (ids, any::<u16>(), texts, any::<Option<[u16; 2]>>(), management).prop_map(
        |((chassis, port), ttl_s, (system_name, description), capabilities, management)| {
            let said = Advertisement::new(chassis, port, ttl_s);
            Advertisement { system_name, description, capabilities, management, ..said }
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read(said in advertisement()) {
        prop_assert_eq!(Advertisement::parse(&said.packet()), Ok(said));
    }

    #[test]
    fn no_bytes_confuse_the_reader(
        said in advertisement(),
        noise in vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = said.packet();
        for (at, byte) in noise {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(read) = Advertisement::parse(&bytes[..cut.index(bytes.len())]) {
            prop_assert_eq!(Advertisement::parse(&read.packet()), Ok(read));
        }
    }
}
