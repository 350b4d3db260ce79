//! The worlds that consoles stand in, and the transcripts of what was typed there.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use drivers::NicState;
use drivers::nic::{Fault, RingFault};
use lb::MacAddr;
use lb::wire::lldp::{Advertisement, BRIDGE, Id, NEAREST_BRIDGE, text};

use crate::desk::{Bench, CLIENT, CLIENT_MAC, guest_address_v6, guest_mac};
use crate::lender::Lender;
use crate::plate::Plate;

/// The transcripts.
pub fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let mut files: Vec<_> = files.collect();
    files.sort();
    files
}

/// The world of this name.
pub fn enter(world: &str) -> Bench {
    let mut bench = Bench::new(4);
    match world {
        "# world: four NICs, no configuration" => {}
        "# world: three guests that serve the web" => serve(&mut bench),
        "# world: three guests that answer questions over IPv6" => answer(&mut bench),
        "# world: an appliance with an address of its own" => manage(&mut bench),
        "# world: switches say who they are, and somebody lies" => introduce(&mut bench),
        "# world: guests in multicast groups" => join(&mut bench),
        "# world: much goes wrong" => go_wrong(&mut bench),
        "# world: a disk, of which the last commit is damaged" => start_again(&mut bench),
        other => panic!("there is no world {other:?}"),
    }
    bench
}

/// Some commits are made and saved, the last is damaged, and another machine starts an hour later.
fn start_again(bench: &mut Bench) {
    const BEGAN: u64 = 1_800_000_000;
    let (disk, mut first) = (Plate::blank(), Bench::new(4));
    disk.start(&mut first, Some(BEGAN));
    first.type_in(b"configure\r");
    for hostname in ["edge1", "edge2", "edge3"] {
        first.type_in(format!("set system hostname {hostname}\rcommit\r").as_bytes());
    }
    disk.damage(2);
    disk.start(bench, Some(BEGAN + 3600));
}

/// Three guests answer a service; twelve clients have called, and two guests report.
fn serve(bench: &mut Bench) {
    bench.configure(
        "set system hostname edge1\n\
         set guest web1 port p1 mac 52:54:00:01:00:01 address 10.0.2.21\n\
         set guest web2 port p2 mac 52:54:00:01:00:02 address 10.0.2.22 address fd00::22\n\
         set guest web3 port p3 mac 52:54:00:01:00:03 address 10.0.2.23\n\
         set service web vip 10.0.2.100 tcp 80\n\
         set service web scheduler wll\n\
         set service web real web1\n\
         set service web real web2 port 8080 weight 200\n\
         set service web real web3 max-flows 100\n",
    );
    bench.run(Duration::from_secs(2));
    bench.report(1, "up id=1 seq=1 cpu=0.42 app=0.61 rif=37");
    bench.report(2, "up 50% id=2 seq=1 cpu=0.05 #nightly backup");
    for client_port in 0..12 {
        bench.call(40_000 + client_port);
    }
}

/// Three guests serve a VIP of IPv6, one of them an IPv4 one too; then one falls silent, by its
/// IPv6 address.
fn answer(bench: &mut Bench) {
    bench.configure(
        "set guest dns1 port p1 mac 52:54:00:01:00:01 address 10.0.2.21 address fd00::21\n\
         set guest dns2 port p2 mac 52:54:00:01:00:02 address fd00::22\n\
         set guest dns3 port p3 mac 52:54:00:01:00:03 address fd00::23\n\
         set service dns vip 2001:db8::53 udp 53\n\
         set service dns scheduler rr\n\
         set service dns persistence source 128 timeout 300s\n\
         set service dns idle 30s\n\
         set service dns max-flows 3\n\
         set service dns empty sorry dns3\n\
         set service dns real dns1\n\
         set service dns real dns2\n\
         set service web vip 10.0.2.100 tcp 80\n\
         set service web real dns1\n",
    );
    bench.run(Duration::from_secs(2));
    (0..5).for_each(|at| bench.ask(5300 + at));
    bench.silent.push(guest_address_v6(1).into());
    bench.run(Duration::from_secs(2));
}

/// A guest that serves, and on the uplink a station that answers and lends an address.
fn manage(bench: &mut Bench) {
    bench.configure(
        "set system address 10.0.2.15/24 gateway 10.0.2.1\n\
         set guest web1 port p1 mac 52:54:00:01:00:01 address 10.0.2.21\n\
         set service web vip 10.0.2.100 tcp 80\n\
         set service web real web1\n",
    );
    let (server, lent) = (CLIENT, Ipv4Addr::new(10, 0, 2, 77));
    bench.lender = Some(Lender { mac: CLIENT_MAC, server, lent, lease_s: 600 });
    bench.run(Duration::from_secs(2));
}

/// A switch at the uplink, and at a guest's port that is heard somebody who plays with terminals.
fn introduce(bench: &mut Bench) {
    bench.configure("set port p2 lldp on\nset port p3 lldp send\n");
    let leaf = Advertisement {
        system_name: Some(text(b"leaf1.example")),
        description: Some(text(b"48 ports, 10G")),
        capabilities: Some([0x14, BRIDGE]),
        management: [IpAddr::from([192, 0, 2, 1])].into_iter().collect(),
        ..Advertisement::new(Id::mac(MacAddr(CLIENT_MAC)), Id::name("Ethernet1/7"), 120)
    };
    let liar = Advertisement {
        system_name: Some(text(b"\x1b[2Jgone\r\nfulcrum> \xff")),
        ..Advertisement::new(Id::name("\u{202e}evil"), Id::mac(MacAddr(guest_mac(2))), 9)
    };
    for (at, mac, said) in
        [(0, CLIENT_MAC, leaf), (2, guest_mac(2), liar.clone()), (3, guest_mac(3), liar)]
    {
        let packet = said.packet();
        bench.put(at, [&NEAREST_BRIDGE.0[..], &mac, &[0x88, 0xcc], &packet].concat());
    }
    bench.put(0, [&NEAREST_BRIDGE.0[..], &CLIENT_MAC, &[0x88, 0xcc, 2, 0xff]].concat());
    bench.run(Duration::from_secs(2));
}

/// Routers ask who is in which group: one on the uplink, and in VLAN 10 a guest. A defined guest and a
/// stranger say so, by different versions, and one whose link was down has not been asked yet.
fn join(bench: &mut Bench) {
    const ALL: [u8; 4] = [224, 0, 0, 1];
    const QUERY: &[u8] = &[0x11, 100, 0, 0, 0, 0, 0, 0];
    const IN_GROUP: &[u8] = &[4, 0, 0, 0, 239, 1, 2, 3];
    bench.configure("set guest web1 port p1 mac 52:54:00:01:00:01 address 10.0.2.21\n");
    bench.say_of_groups(0, 0, ALL, QUERY);
    bench.say_of_groups(2, 10, ALL, QUERY);
    let report = [&[0x22, 0, 0, 0, 0, 0, 0, 1], IN_GROUP].concat();
    bench.say_of_groups(1, 0, [224, 0, 0, 22], &report);
    bench.run(Duration::from_secs(12));
    for vlan in [0, 10] {
        bench.say_of_groups(3, vlan, [239, 1, 2, 3], &[0x16, 0, 0, 0, 239, 1, 2, 3]);
    }
    bench.put_nic(1, NicState::LinkDown);
    bench.put_nic(1, NicState::Up);
    bench.say_of_groups(1, 0, [224, 0, 0, 22], &report);
}

/// One guest's link comes and goes, one's check fails, one's NIC is broken, one is gone from the
/// configuration with a flow left; a service is full, and one lives on a VLAN where nobody answers.
fn go_wrong(bench: &mut Bench) {
    bench.configure(
        "set system hostname edge2\n\
         set guest web1 port p1 mac 52:54:00:01:00:01 address 10.0.2.21\n\
         set guest web2 port p2 mac 52:54:00:01:00:02 address 10.0.2.22\n\
         set guest web3 port p3 mac 52:54:00:01:00:03 address 10.0.2.23\n\
         set guest web4 port p3 mac 52:54:00:01:00:04 address 10.0.2.24\n\
         set service dns vip 10.0.2.100 udp 53 vlan 20\n\
         set service dns real web2\n\
         set service dns real web4\n\
         set service web vip 10.0.2.100 tcp 80\n\
         set service web max-flows 4\n\
         set service web check icmp interval 500ms timeout 200ms fall 1\n\
         set service web slow-start 0s\n\
         set service web persistence source 32 timeout 60s\n\
         set service web real web1\n\
         set service web real web2 max-flows 100\n\
         set service web real web3 check tcp interval 500ms timeout 200ms fall 1\n",
    );
    bench.run(Duration::from_secs(2));
    bench.report(2, "up id=2 seq=1 cpu=0.25 mem=0.5 io=0.125 rif=3 #a \\\"quoted\\\" word");
    (0..6).for_each(|at| bench.call(40_000 + at));
    bench.ask_on(20, 5300);
    for _ in 0..3 {
        bench.put_nic(1, NicState::LinkDown);
        bench.put_nic(1, NicState::Up);
    }
    bench.put_nic(3, NicState::Broken(Fault::Ring(RingFault::UsedId)));
    bench.run(Duration::from_secs(1));
}
