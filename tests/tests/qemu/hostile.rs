//! Guests that lie and frames that make no sense: nobody else notices.

use std::net::{Ipv4Addr, SocketAddrV4};

use tests::console::number_after;
use tests::frame::ArpKind;
use tests::world::{VIP, WEB, World};
use tests::{Arp, Dice, Ends, Frame, MacAddr, Station, Tcp, TcpFlags, TcpFlow, Udp};

/// A lie, and the counter that it ends in.
struct Lie {
    what: &'static str,
    frame: Frame,
    counter: &'static str,
}

#[test]
fn a_guest_cannot_be_somebody_else() {
    let world = World::with_weights(&[100, 100]);
    let [victim, liar] = [&world.guests[0], &world.guests[1]];
    let claim = |from, sender_mac, sender| Arp {
        from,
        to: MacAddr::BROADCAST,
        kind: ArpKind::Reply,
        sender_mac,
        sender,
        target_mac: MacAddr::BROADCAST,
        target: sender,
    };
    let from_vip = Tcp {
        ends: Ends {
            from_mac: liar.mac,
            to_mac: world.client.mac,
            from: WEB.vip,
            to: SocketAddrV4::new(world.client.address, 5000),
        },
        sequence: 1,
        acknowledged: Some(1),
        flags: TcpFlags::RST,
        payload: vec![],
    };
    let lies = [
        Lie {
            what: "the VIP is at the liar's MAC",
            frame: claim(liar.mac, liar.mac, VIP).into(),
            counter: "arp_spoof",
        },
        Lie {
            what: "the liar has the switch's MAC",
            frame: claim(liar.mac, MacAddr::SWITCH, liar.address).into(),
            counter: "arp_spoof",
        },
        Lie {
            what: "a frame from the victim's MAC",
            frame: Arp::request(victim.mac, liar.address, world.client.address).into(),
            counter: "spoof_mac",
        },
        Lie {
            what: "a frame from the VIP's MAC",
            frame: Arp::request(
                MacAddr::virtual_of(VIP.into()),
                liar.address,
                world.client.address,
            )
            .into(),
            counter: "spoof_mac",
        },
        Lie {
            what: "a reset in the VIP's name for a connection that is not the liar's",
            frame: from_vip.into(),
            counter: "vip_src",
        },
    ];
    let counted = |counter| {
        let table = world.command("show counters drops");
        number_after(&table, counter).unwrap_or(0)
    };
    for Lie { what, frame, counter } in lies {
        let before = counted(counter);
        liar.send(frame);
        let arrived = Station::settle(&world.stations());
        assert!(arrived.iter().all(Vec::is_empty), "{what}: {arrived:?}");
        assert_eq!(counted(counter), before + 1, "{what}: {counter}");
    }
    TcpFlow::open(&world.client, 40_000, WEB, &[victim, liar]).close();
}

/// Thousands of frames with bytes changed at random, from everywhere, over an open connection that
/// does not notice; afterwards every frame is accounted for.
#[test]
fn nonsense_disturbs_nobody() {
    const FRAMES: usize = 3_000;
    let world = World::with_weights(&[100, 100]);
    // So that whatever is for all arrives, the harness's markers too.
    world.command("configure");
    world.commit(&["set port p2 storm-limit off"]);
    let [honest, noisy] = [&world.guests[0], &world.guests[1]];
    let mut flow = TcpFlow::open(&world.client, 40_000, WEB, &[honest, noisy]);
    let listeners = [&world.client, honest, noisy];
    let mut dice = Dice(0x5eed);
    let to_vip = |to: SocketAddrV4| Ends {
        from_mac: noisy.mac,
        to_mac: MacAddr::virtual_of(VIP.into()),
        from: SocketAddrV4::new(noisy.address, 40_001),
        to,
    };
    let report = SocketAddrV4::new(Ipv4Addr::new(169, 254, 2, 1), 3333);
    let seeds: Vec<Vec<u8>> = [
        Tcp {
            ends: to_vip(WEB.vip),
            sequence: 7,
            acknowledged: None,
            flags: TcpFlags::SYN,
            payload: vec![0; 20],
        }
        .into(),
        Udp { ends: to_vip(report), payload: b"up 50% id=1 seq=1 cpu=0.5".to_vec() }.into(),
        Udp { ends: to_vip(SocketAddrV4::new(VIP, 53)), payload: vec![1; 40] }.into(),
        Frame::from(Arp::request(noisy.mac, noisy.address, VIP)),
    ]
    .iter()
    .map(Frame::bytes)
    .collect();
    for number in 0..FRAMES {
        let mut frame = seeds[number % seeds.len()].clone();
        for _ in 0..=dice.roll(4) {
            // The source MAC stays: a guest that sends from others' is another test.
            let at = 12 + dice.roll(frame.len() - 12);
            frame[at] = dice.roll(256) as u8;
        }
        frame.truncate(frame.len() - dice.roll(frame.len() - 14) / 4);
        noisy.send_bytes(&frame);
        if number % 500 == 0 {
            Station::settle_bytes(&listeners);
            flow.client_says(b"do you hear that?");
            flow.real_says(b"what?");
        }
    }
    Station::settle_bytes(&listeners);
    flow.close();
    world.machine.assert_accounted();
}
