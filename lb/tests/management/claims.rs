//! Somebody on an uplink says that the address is his.

use std::time::Duration;

use lb::*;

use crate::scene::*;
use crate::world::*;

/// Frames with the management MAC that were said meanwhile.
fn said_in(world: &mut World, time: Duration) -> usize {
    let said = world.pass_without(time, &[]);
    said.iter().filter(|out| out.frame[6..12] == OWN_MAC).count()
}

#[test]
fn p52_a_claim_is_told_once_and_answered_now_and_then() {
    let mut world = managed(0);
    let claim = Ends {
        vlan: 0,
        source_mac: CLIENT_MAC,
        destination_mac: BROADCAST,
        source: (own(), 0),
        destination: (own(), 0),
    };
    for _ in 0..50 {
        assert_eq!(world.send(UPLINK, &claim.arp(1)), Err(DropReason::ArpSpoof));
    }
    let line = "management: 52:55:00:00:00:09 claims 10.0.2.15, which is this appliance's";
    assert_eq!(told(&mut world), [line]);
    assert_eq!(said_in(&mut world, Duration::from_secs(4)), 3, "it is ours nevertheless");
    world.send(UPLINK, &claim.arp(1)).unwrap_err();
    assert_eq!(said_in(&mut world, Duration::from_secs(4)), 0, "not so often");
    assert!(told(&mut world).is_empty());
    world.pass(Duration::from_secs(60));
    world.send(UPLINK, &claim.arp(2)).unwrap_err();
    assert_eq!(told(&mut world), [line], "a minute later");

    let claimed = own_v6();
    let advertised = Ends { source: (CLIENT_V6, 0), destination: (ALL_NODES, 0), ..claim };
    let advertised = Ends { destination_mac: ALL_NODES_MAC, ..advertised };
    let option = option(TARGET_OPTION, CLIENT_MAC);
    world.pass(Duration::from_secs(60));
    let frame = advertised.neighbor(ADVERTISEMENT, OVERRIDE, claimed, &option);
    assert_eq!(world.send(UPLINK, &frame), Err(DropReason::NdSpoof));
    assert_eq!(
        told(&mut world),
        ["management: 52:55:00:00:00:09 claims fd00::15, which is this appliance's"]
    );
}
