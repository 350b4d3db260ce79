//! The ordinary work of a switch, without any configuration.

use tests::console::number_after;
use tests::{Frame, MacAddr, Machine, Raw, Setup, Station};

/// IEEE 802's second ethertype for local experiments; the harness's markers have the first.
const ETHER_TYPE: u16 = 0x88b6;

const NOBODY: MacAddr = MacAddr([2, 0, 0, 0, 0, 99]);

/// One frame, and the ports that it must come out of.
struct Step {
    what: &'static str,
    ingress: usize,
    from: MacAddr,
    to: MacAddr,
    egress: &'static [usize],
}

fn mac(last: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 1, last])
}

fn group(text: &str) -> MacAddr {
    text.parse().expect("a MAC address")
}

/// Sends every step's frame and compares everything that arrives anywhere with what should.
#[track_caller]
fn walk(machine: &Machine, ports: usize, steps: &[Step]) {
    let stations: Vec<Station> = (0..ports).map(|port| machine.station(port)).collect();
    let stations: Vec<&Station> = stations.iter().collect();
    for (number, step) in steps.iter().enumerate() {
        let frame = Frame::Raw(Raw {
            from: step.from,
            to: step.to,
            ether_type: ETHER_TYPE,
            payload: vec![number as u8; 46 + number * 97 % 1454],
        });
        stations[step.ingress].send(frame.clone());
        let arrived = Station::settle(&stations);
        for (port, frames) in arrived.into_iter().enumerate() {
            let expected = if step.egress.contains(&port) { vec![frame.clone()] } else { vec![] };
            assert_eq!(frames, expected, "{}: at port {port}", step.what);
        }
    }
}

#[test]
fn frames_go_where_their_receivers_are() {
    let machine = Machine::boot(Setup::default());
    let steps = [
        Step {
            what: "an address that was never seen is flooded",
            ingress: 1,
            from: mac(1),
            to: mac(2),
            egress: &[0, 2, 3],
        },
        Step {
            what: "an address that was seen is found",
            ingress: 2,
            from: mac(2),
            to: mac(1),
            egress: &[1],
        },
        Step {
            what: "and so is the one that answered",
            ingress: 1,
            from: mac(1),
            to: mac(2),
            egress: &[2],
        },
        Step {
            what: "the uplink is a port like others",
            ingress: 0,
            from: mac(100),
            to: mac(1),
            egress: &[1],
        },
        Step {
            what: "a broadcast goes everywhere but back",
            ingress: 3,
            from: mac(3),
            to: MacAddr::BROADCAST,
            egress: &[0, 1, 2],
        },
        Step {
            what: "and so does a multicast",
            ingress: 3,
            from: mac(3),
            to: group("01:00:5e:00:00:fb"),
            egress: &[0, 1, 2],
        },
        Step {
            what: "a frame to the port that it came from goes nowhere",
            ingress: 3,
            from: mac(4),
            to: mac(3),
            egress: &[],
        },
        Step {
            what: "a station that moves is found at its new port",
            ingress: 3,
            from: mac(1),
            to: mac(2),
            egress: &[2],
        },
        Step {
            what: "and no longer at its old one",
            ingress: 2,
            from: mac(2),
            to: mac(1),
            egress: &[3],
        },
    ];
    walk(&machine, 4, &steps);
}

#[test]
fn reserved_groups_and_impossible_sources_go_nowhere() {
    let machine = Machine::boot(Setup { ports: 3, ..Setup::default() });
    let mut steps: Vec<Step> = (0..16)
        .map(|last| Step {
            what: "a reserved group address",
            ingress: 1,
            from: mac(1),
            to: MacAddr([0x01, 0x80, 0xc2, 0, 0, last]),
            egress: &[],
        })
        .collect();
    steps.extend([
        Step {
            what: "the group address after the reserved ones",
            ingress: 1,
            from: mac(1),
            to: group("01:80:c2:00:00:10"),
            egress: &[0, 2],
        },
        Step {
            what: "a group as the source",
            ingress: 1,
            from: group("03:00:00:00:00:01"),
            to: NOBODY,
            egress: &[],
        },
        Step { what: "no source", ingress: 1, from: MacAddr::ZERO, to: NOBODY, egress: &[] },
        Step {
            what: "the switch's own address as the source",
            ingress: 1,
            from: MacAddr::SWITCH,
            to: NOBODY,
            egress: &[],
        },
    ]);
    walk(&machine, 3, &steps);
    let drops = machine.console.command("show counters drops");
    for (reason, count) in [("link_local", 16), ("bad_src", 2), ("spoof_mac", 1)] {
        assert_eq!(number_after(&drops, reason), Some(count), "{reason} in\n{drops}");
    }
}

/// Frames of all lengths and kinds, none lost: what went in came out or is counted as dropped.
#[test]
fn every_frame_is_accounted_for() {
    let machine = Machine::boot(Setup::default());
    let stations: Vec<Station> = (0..4).map(|port| machine.station(port)).collect();
    let all: Vec<&Station> = stations.iter().collect();
    let mut sent = 0;
    let mut expected = vec![0; 4];
    for round in 0..200_usize {
        let (from, to) = (round % 4, (round / 4) % 4);
        let frame = Raw {
            from: stations[from].mac,
            to: if round % 5 == 0 { MacAddr::BROADCAST } else { stations[to].mac },
            ether_type: ETHER_TYPE,
            payload: vec![round as u8; 46 + round * 7],
        };
        if frame.to == MacAddr::BROADCAST {
            (0..4).filter(|port| *port != from).for_each(|port| expected[port] += 1);
        } else if from != to {
            expected[to] += 1;
        }
        if round == 0 {
            // Everybody is known before the first unicast.
            for station in &all {
                station.send(Raw { from: station.mac, ..frame.clone() });
            }
            Station::settle(&all);
        }
        stations[from].send(frame);
        sent += 1;
    }
    let arrived: Vec<usize> = Station::settle(&all).iter().map(Vec::len).collect();
    assert_eq!(arrived, expected, "of {sent} frames sent");
    machine.assert_accounted();
}

/// Frames that are too short to be one or longer than any port takes end at the port that they came
/// to, and the next one passes.
#[test]
fn lengths_that_no_frame_has() {
    let machine = Machine::boot(Setup { ports: 2, ..Setup::default() });
    let [uplink, guest] = [machine.station(0), machine.station(1)];
    let whole: Vec<u8> = Frame::Raw(Raw {
        from: guest.mac,
        to: MacAddr::BROADCAST,
        ether_type: ETHER_TYPE,
        payload: (0..60_000).map(|at| at as u8).collect(),
    })
    .bytes();
    for length in [1, 13, 1515, 2048, 9_000, 60_000, 14, 15, 60, 1514] {
        guest.send_bytes(&whole[..length]);
        if (14..=1514).contains(&length) {
            uplink.expect_bytes(&whole[..length]);
        }
    }
    let arrived = Station::settle(&[&uplink, &guest]);
    assert!(arrived.iter().all(Vec::is_empty), "{arrived:?}");
}
