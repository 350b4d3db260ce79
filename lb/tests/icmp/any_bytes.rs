//! Bytes that were drawn by lot: they end once, panic nothing, and change no flow.

use std::cell::RefCell;
use std::net::IpAddr;

use lb::wire::icmp::{IcmpError, Translation};
use lb::wire::ip::Version;
use lb::wire::{Endpoint, Ip};
use proptest::prelude::*;

use crate::errors::*;
use crate::world::*;

/// Frames end once (`World::verdict` compares the sums), and flows stay what they were.
fn end_somewhere(opened: &RefCell<Opened>, ingress: usize, frame: &[u8]) {
    let world = &mut opened.borrow_mut().world;
    let before = flows(world);
    world.verdict(ingress, frame);
    assert_eq!(flows(world), before);
}

fn opened(version: Version) -> RefCell<Opened> {
    RefCell::new(Opened::new(version, Carried::Tcp, Flow::Own, false))
}

fn sender() -> impl Strategy<Value = Sender> {
    prop::sample::select(&[Sender::Client, Sender::Real][..])
}

#[test]
fn as_icmp_to_a_vip_or_from_a_real() {
    for version in VERSIONS {
        let opened = opened(version);
        let quotes = prop::collection::vec(any::<u8>(), 0..200);
        let strategy = (sender(), any::<Kind>(), quotes);
        proptest!(ProptestConfig::with_cases(2000), |((sender, kind, quote) in strategy)| {
            let (ingress, path) = opened.borrow().path(sender, opened.borrow().router());
            end_somewhere(&opened, ingress, &path.icmp(kind.0, kind.1, kind.2, &quote));
        });
    }
}

#[test]
fn in_an_error_that_was_good() {
    for version in VERSIONS {
        let opened = opened(version);
        let patches = prop::collection::vec((0usize..80, any::<u8>()), 0..5);
        let strategy = (sender(), patches, 8usize..241, any::<bool>());
        proptest!(ProptestConfig::with_cases(4000), |((sender, patches, len, damage) in strategy)| {
            let (ingress, path) = opened.borrow().path(sender, opened.borrow().router());
            let (kind, code, rest) = port_unreachable(version);
            let mut message = vec![kind, code, 0, 0];
            message.extend(rest);
            message.extend(quote(Shape::Full, &opened.borrow().quoted(sender)[1]));
            patches.iter().for_each(|&(at, byte)| message[at] = byte);
            message.truncate(len);
            let rest = [message[4], message[5], message[6], message[7]];
            let mut frame = path.icmp(message[0], message[1], rest, &message[8..]);
            if damage {
                frame[path.payload_at() + 2] ^= 0x40;
            }
            end_somewhere(&opened, ingress, &frame);
        });
    }
}

fn any_address(version: Version) -> impl Strategy<Value = IpAddr> {
    (any::<[u8; 4]>(), any::<[u8; 16]>()).prop_map(move |(v4, v6)| match version {
        Version::V4 => v4.into(),
        Version::V6 => v6.into(),
    })
}

fn any_end(version: Version) -> impl Strategy<Value = Endpoint> {
    let end = (any_address(version), any::<u16>());
    end.prop_map(|(address, port)| Endpoint { address: address.into(), port })
}

fn any_translation(version: Version) -> impl Strategy<Value = Translation> {
    let addresses = (any_address(version), any_address(version));
    let ends = (any_end(version), any_end(version));
    (addresses, ends).prop_map(|((source, destination), (from, to))| Translation {
        source,
        destination,
        quoted_source: from,
        quoted_destination: to,
    })
}

/// There and back again is nowhere, and on the way all sums are right.
#[test]
fn ends_translate_back() {
    for version in VERSIONS {
        let carried = match version {
            Version::V4 => &CARRIED[..],
            Version::V6 => &CARRIED[..2],
        };
        let carried = prop::sample::select(carried);
        let shape = prop::sample::select(&SHAPES[..]);
        let (old, new) = (any_translation(version), any_translation(version));
        proptest!(ProptestConfig::with_cases(2000), |(
            old in old, new in new, carried in carried, shape in shape,
        )| {
            let quoted = Ends {
                vlan: 0,
                source_mac: VIP_MAC,
                destination_mac: CLIENT_MAC,
                source: (old.quoted_source.address.into(), old.quoted_source.port),
                destination: (old.quoted_destination.address.into(), old.quoted_destination.port),
            };
            let path = Ends {
                source: (old.source, 0),
                destination: (old.destination, 0),
                ..quoted.reversed()
            };
            let packet = packet(carried, quoted, "A", shape == Shape::Options);
            let frame = error(&path, port_unreachable(version), shape, &packet);
            let mut translated = frame.clone();
            for ends in [&new, &old] {
                let ethertype = version.ethertype();
                let ip = Ip::parse(&translated, translated.len(), 14, ethertype).unwrap().unwrap();
                let error = IcmpError::parse(&translated, &ip).unwrap();
                error.rewrite(&ip, &mut translated, ends);
                read_error(&translated);
            }
            prop_assert_eq!(translated, frame);
        });
    }
}
