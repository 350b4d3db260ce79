//! What nobody should say of groups, and how much of it.

use lb::*;

use crate::said::*;
use crate::world::*;
use crate::{NOBODY, asked, heard, ways};

/// P47: it is dropped, counted, and nothing is learned from it.
#[test]
fn p47_messages_that_are_not_believed() {
    let group = "239.1.2.3";
    let good = igmp(1, group, &[0x16, 0, 0, 0, 239, 1, 2, 3]);
    let changed = |at: usize, to: u8| {
        let mut frame = good.clone();
        frame[at] = to;
        frame
    };
    let mut from_afar = good.clone();
    patch_ipv4(&mut from_afar, 14, &[(8, 64)]);
    let mut part = good.clone();
    patch_ipv4(&mut part, 14, &[(6, 0x20), (7, 0)]);
    let many = |count: u16| {
        let count = count.to_be_bytes();
        igmp(1, "224.0.0.22", &[&[0x22, 0, 0, 0, 0, 0][..], &count, &[4; 1024]].concat())
    };
    let mld_good = joined(1, "ff05::1:3");
    let mut mld_sum = mld_good.clone();
    mld_sum[70] ^= 1;
    let mut mld_from_afar = mld_good.clone();
    mld_from_afar[21] = 255;
    let mut rest = vec![0, 0, 0, 1, 4, 0, 0, 0];
    rest.extend(octets("ff05::1:3".parse().unwrap()));
    let bare = {
        let ends = ends(1, "ff02::16");
        let mut frame = ends.icmp(143, 0, [0, 0, 0, 1], &rest[4..]);
        frame[21] = 1;
        frame
    };
    for (what, frame, reason) in [
        ("P47 a wrong sum", changed(good.len() - 5, 7), DropReason::GroupMessage),
        ("P47 a wrong sum of the header", changed(24, 7), DropReason::IpChecksum),
        ("P47 from afar", from_afar, DropReason::GroupMessage),
        ("P47 a fragment", part, DropReason::GroupMessage),
        ("P47 4 bytes", igmp(1, group, &[0x16, 0, 0, 0]), DropReason::GroupMessage),
        ("P47 a thousand records, of which 3 are there", many(1000), DropReason::GroupMessage),
        ("P47 a record of more sources than bytes", many(1), DropReason::GroupMessage),
        (
            "P47 of no group",
            igmp(1, group, &[0x16, 0, 0, 0, 10, 1, 2, 3]),
            DropReason::GroupMessage,
        ),
        ("P47 MLD with a wrong sum", mld_sum, DropReason::GroupMessage),
        ("P47 MLD from afar", mld_from_afar, DropReason::GroupMessage),
        ("P47 MLD without a router alert", bare, DropReason::GroupMessage),
        ("P47 MLD cut short", mld(1, "ff02::16", 143, &rest[..20]), DropReason::GroupMessage),
    ] {
        let mut world = asked(4);
        assert_eq!(ways(&mut world, 1, &frame), Err(reason), "{what}");
        assert!(world.plane.groups().is_empty(), "{what}");
        assert_eq!(heard(&mut world, group)[0], NOBODY, "{what}");
    }
    // Old hosts leave the router alert out; it is counted and believed.
    let ends = ends(1, group);
    let mut without = ends.raw(2, &good[38..46]);
    patch_ipv4(&mut without, 14, &[(8, 1)]);
    let mut world = asked(4);
    ways(&mut world, 1, &without).unwrap();
    assert_eq!(world.plane.groups().counters().unalerted, 1);
    assert_eq!(heard(&mut world, group)[0], Ok(vec![1]));
}

/// P47: a guest that may not ask is no router, and nobody is shut out because of what it says.
#[test]
fn p47_a_guest_that_may_not_ask() {
    let mut world = asked(4);
    world.define(1);
    ways(&mut world, 2, &joined(2, "239.1.2.3")).unwrap();
    for query in [igmp_query(1, "0.0.0.0"), igmp_query(1, "239.1.2.3"), mld_query(1, "::")] {
        assert_eq!(ways(&mut world, 1, &query), Err(DropReason::QueryGuard));
    }
    world.pass(std::time::Duration::from_secs(30));
    assert_eq!(heard(&mut world, "239.1.2.3")[0], Ok(vec![2]));
    // Trusted, it is one.
    let trusts = [Trust::Querier].into_iter().collect();
    let spec = GuestSpec { trusts, ..world.guest_spec(1) };
    world.apply(Command::SetGuest(spec));
    ways(&mut world, 1, &igmp_query(1, "0.0.0.0")).unwrap();
    assert_eq!(heard(&mut world, "239.1.2.3")[0], Ok(vec![1, 2]));
}

/// P47: as many groups as fit into frames, a thousand frames: others stay, and it loses nothing.
#[test]
fn p47_a_hundred_thousand_groups() {
    let mut world = asked(4);
    ways(&mut world, 2, &joined(2, "239.1.2.3")).unwrap();
    for frame in 0..1000u16 {
        let [a, b] = frame.to_be_bytes();
        let record = |n: u8| [4, 0, 0, 0, 230, a, b, n];
        let records: Vec<u8> = (0..100).flat_map(record).collect();
        let message = [&[0x22, 0, 0, 0, 0, 0, 0, 100], &records[..]].concat();
        world.send(1, &igmp(1, "224.0.0.22", &message)).unwrap();
    }
    assert_eq!(world.plane.groups().iter().filter(|(_, at, _)| *at == port(1)).count(), 128);
    assert_eq!(heard(&mut world, "239.1.2.3")[0], Ok(vec![1, 2]));
    assert_eq!(heard(&mut world, "230.3.231.99")[0], Ok(vec![1]));
    ways(&mut world, 3, &joined(3, "239.7.7.7")).unwrap();
    assert_eq!(heard(&mut world, "239.7.7.7")[0], Ok(vec![1, 3]));
}
