//! `capture` on the machine itself.

use tests::world::{WEB, World};
use tests::{Ends, Frame, MacAddr, TcpFlags, TcpFlow, pcap};

/// Each packet is seen as it came and as it left.
#[test]
fn a_handshake_through_a_vip_is_captured_on_both_sides() {
    let world = World::with_weights(&[100]);
    let console = &world.machine.console;
    console.press("capture service web count 6 for 1m\r");
    console.wait_for("-----BEGIN PCAP-----\r\n");
    let TcpFlow { client, at_client, at_real, .. } =
        TcpFlow::open(&world.client, 40_000, WEB, &world.reals());
    console.wait_for("# 6 frames: 3 received, 3 sent\r\n% OK\r\n");

    let captured = pcap::frames(&console.transcript());
    let segment = |bytes: &Vec<u8>| match Frame::parse(bytes) {
        Ok(Frame::Tcp(tcp)) => (tcp.ends, tcp.flags, tcp.acknowledged.is_some()),
        other => panic!("{other:?}"),
    };
    let seen: Vec<_> = captured.iter().map(segment).collect();
    let from_real = Ends { to_mac: client.mac, ..at_real.back() };
    let expected = [
        (at_client, TcpFlags::SYN, false),
        (at_real, TcpFlags::SYN, false),
        (from_real, TcpFlags::SYN, true),
        (at_client.back(), TcpFlags::SYN, true),
        (at_client, TcpFlags::NONE, true),
        (at_real, TcpFlags::NONE, true),
    ];
    assert_eq!(seen, expected);
    assert_eq!(at_client.to_mac, MacAddr::virtual_of((*WEB.vip.ip()).into()));
}
