//! Counters that were cleared: what came since adds up, and the data path's own go on.

use std::net::IpAddr;
use std::time::Duration;

use etherparse::{IpFragOffset, Ipv4Header, ip_number};
use lb::{MacAddr, PortId};
use serde_json::Value;

use crate::desk::{Bench, VIP};
use crate::schemas::document;
use crate::worlds::enter;

/// What a port's counters say, after it was seen that they add up.
fn counters(bench: &mut Bench, port: &str) -> Value {
    let document = document(bench, "show counters | json");
    let ports = document["ports"].as_array().unwrap();
    for port in ports {
        let count = |name: &str| port[name].as_u64().unwrap();
        let ends = ["forwarded", "flooded", "replied", "punted", "held", "dropped"];
        assert_eq!(count("frames_in"), ends.map(count).iter().sum::<u64>(), "{port}");
    }
    ports.iter().find(|its| its["port"] == port).unwrap().clone()
}

/// The second part of a datagram to the VIP; its first never comes.
fn second_part() -> Vec<u8> {
    let payload = [0; 64];
    let (from, to) = ([10, 0, 2, 2], VIP.octets());
    let mut header = Ipv4Header::new(payload.len() as u16, 64, ip_number::UDP, from, to).unwrap();
    header.fragment_offset = IpFragOffset::try_new(64).unwrap();
    header.dont_fragment = false;
    header.header_checksum = header.calc_header_checksum();
    let macs = [MacAddr::virtual_of(IpAddr::V4(VIP)).0, [0x52, 0x54, 0, 0xcc, 0, 1]];
    [&macs.concat()[..], &[8, 0], &header.to_bytes(), &payload].concat()
}

#[test]
fn what_comes_after_clearing_adds_up() {
    let mut bench = enter("# world: three guests that serve the web");
    bench.put(0, second_part());
    bench.run(Duration::from_millis(10));
    assert_eq!(counters(&mut bench, "up0")["held"], 1);
    let uplink = PortId::new(0).unwrap();
    let before = bench.appliance.dataplane.endings(uplink).clone();
    let flows = bench.appliance.dataplane.flows().len();

    bench.type_in(b"clear counters\r");
    let cleared = counters(&mut bench, "up0");
    assert_eq!((&cleared["frames_in"], &cleared["held"]), (&1.into(), &1.into()), "yet to end");
    assert_eq!(bench.appliance.dataplane.endings(uplink).rx, before.rx, "its own go on");
    assert_eq!(bench.appliance.dataplane.flows().len(), flows);

    bench.call(41_000);
    bench.run(Duration::from_secs(60));
    let after = counters(&mut bench, "up0");
    let seen = ["frames_in", "forwarded", "held", "dropped"].map(|name| after[name].as_u64());
    assert_eq!(seen, [Some(3), Some(2), Some(0), Some(1)], "{after}");
    let web = document(&mut bench, "show service web | json");
    assert_eq!((&web["flows_new"], &web["flows_open"]), (&1.into(), &13.into()));
    assert_eq!((&web["packets_in"], &web["packets_out"]), (&2.into(), &1.into()));
    let of_reals = web["reals"].as_array().unwrap().iter();
    assert_eq!(of_reals.map(|real| real["flows_new"].as_u64().unwrap()).sum::<u64>(), 1);
    let endings = bench.appliance.dataplane.endings(uplink);
    assert_eq!(endings.rx, endings.sum());
}
