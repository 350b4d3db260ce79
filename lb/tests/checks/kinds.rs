//! Every kind of check, in both IP versions, tagged and not, against every manner of answering.

use std::time::Duration;

use lb::wire::Offload;
use lb::wire::ip::Version;
use lb::wire::offload::PartialChecksum;
use lb::*;

use crate::scene::{Scene, What};
use crate::station::Manner;
use crate::world::*;

/// IPv4 and IPv6, untagged and in a VLAN.
fn places() -> [Served; 4] {
    let versions = [Version::V4, Version::V4, Version::V6, Version::V6];
    let places = versions.into_iter().zip([0, 10, 0, 10]);
    let mut places = places.map(|(version, vlan)| Served { version, vlan, ..Served::default() });
    std::array::from_fn(|_| places.next().unwrap())
}

/// What must be found.
fn expected(what: What, manner: Manner) -> Result<(), Failure> {
    use Manner::*;
    match (what, manner) {
        (_, Answers) => Ok(()),
        (What::Tcp | What::HttpStatus | What::HttpText, Refuses) => Err(Failure::Refused),
        (What::Udp, Refuses) => Err(Failure::PortUnreachable),
        // No answer is a good one, and so is any.
        (What::Udp, Silent | Wrong | Slow | Endless) => Ok(()),
        (What::Icmp | What::Neighbor, Refuses) | (_, Silent) => Err(Failure::NoAnswer),
        (What::HttpStatus, Wrong) => Err(Failure::Status(503)),
        (What::HttpText, Wrong | Endless) => Err(Failure::TextMissing),
        (What::Tcp | What::Icmp | What::Neighbor, Wrong) => Err(Failure::NoAnswer),
        // A letter now and then is no answer in time.
        (What::HttpStatus | What::HttpText, Slow) => Err(Failure::NoAnswer),
        (What::Tcp | What::Icmp | What::Neighbor, Slow) => Ok(()),
        (What::Tcp | What::HttpStatus | What::Icmp | What::Neighbor, Endless) => Ok(()),
    }
}

#[test]
fn every_kind_in_every_place_and_every_manner() {
    for (what, manner) in What::ALL.into_iter().flat_map(|w| Manner::ALL.map(|m| (w, m))) {
        for place in places() {
            let mut scene = Scene::new(what, place, what.check(), &[manner]);
            scene.pass(Duration::from_millis(1690));
            let case = format!("{what:?} {manner:?} {place:?}");
            let (expected, watch) = (expected(what, manner), scene.watch(1));
            assert_eq!(watch.last.map(|last| last.map(|_| ())), Some(expected), "{case}");
            let health = if expected.is_ok() { Health::Up } else { Health::Down };
            assert_eq!(watch.health, health, "{case}");
            let probes = watch.passed + watch.failed;
            assert!((1..=2).contains(&probes), "{case}: {probes} ended");
            let counters = scene.counters();
            assert_eq!((counters.passed, counters.failed), (watch.passed, watch.failed), "{case}");
            let under_way = counters.sent - probes;
            assert!(under_way <= 1, "{case}: {counters:?}");
            assert_eq!(
                (counters.abandoned, counters.waited, counters.ignored),
                (0, 0, 0),
                "{case}"
            );
            let events = [Event::RealHealth {
                service: name("web"),
                guest: name("web1"),
                health,
                why: expected.err(),
            }];
            assert_eq!(scene.told(), events, "{case}");
            check_rest(&scene, what, manner, &case);
        }
    }
}

/// As guests send it whose NIC, or the appliance in its place, finishes checksums.
#[test]
fn a_datagram_without_its_checksum_yet_is_an_answer() {
    for place in places() {
        let mut scene = Scene::new(What::Udp, place, What::Udp.check(), &[Manner::Answers]);
        let back = read_packet(&scene.first_probe()).ends.reversed();
        let (finished, start) = (back.udp(b"?"), back.payload_at());
        let mut answer = finished.clone();
        answer[start + 6] ^= 1;
        let checksum = Some(PartialChecksum { start: start as u16, offset: 6 });
        let (len, offload) = (answer.len(), Offload { checksum, segments: None });
        let mut frame = Frame { head: &mut answer, len, offload };
        let World { plane, now, .. } = &mut scene.world;
        assert_eq!(plane.receive(port(1), &mut frame, *now), Verdict::Punt, "{place:?}");
        plane.local(port(1), &finished, *now);
        assert_eq!((scene.watch(1).health, scene.watch(1).passed), (Health::Up, 1), "{place:?}");
        assert_eq!(scene.counters(), ProbeCounters { sent: 1, passed: 1, ..Default::default() });
    }
}

/// That nothing else has happened.
fn check_rest(scene: &Scene, what: What, manner: Manner, case: &str) {
    let station = &scene.stations[0];
    let counters = scene.counters();
    if what != What::Neighbor {
        assert_eq!(station.asked_ms.len() as u64, counters.sent, "{case}");
    }
    let ended = counters.passed + counters.failed;
    let is_tcp = matches!(what, What::Tcp | What::HttpStatus | What::HttpText);
    let is_accepted = is_tcp && !matches!(manner, Manner::Refuses | Manner::Silent);
    if is_accepted {
        assert!(station.resets as u64 >= ended, "{case}: every connection is reset");
    }
    if matches!(what, What::HttpStatus | What::HttpText) && is_accepted {
        let host = match station.served.version {
            Version::V4 => "10.0.2.100",
            Version::V6 => "[fd00::100]",
        };
        let request = format!(
            "GET /healthz HTTP/1.1\r\nHost: {host}\r\nUser-Agent: fulcrum\r\nConnection: close\r\n\r\n"
        );
        assert_eq!(station.request, request.as_bytes(), "{case}");
    }
    assert_eq!(scene.world.plane.flows().len(), 0, "{case}: no flow");
    let late = match (what, manner) {
        // What was sent before the reset came, and answers after the first.
        (What::HttpStatus | What::HttpText, Manner::Endless | Manner::Answers | Manner::Wrong) => {
            vec![DropReason::NoProbe]
        }
        (What::Tcp, Manner::Endless) => vec![DropReason::NoProbe],
        (What::Udp, Manner::Wrong | Manner::Endless) => vec![DropReason::NoProbe],
        (What::Icmp, Manner::Wrong | Manner::Endless) => vec![DropReason::Icmp],
        (What::Neighbor, Manner::Wrong) => vec![DropReason::ArpSpoof, DropReason::NdSpoof],
        _ => vec![],
    };
    let strange: Vec<_> = scene.dropped.iter().filter(|reason| !late.contains(reason)).collect();
    assert!(strange.is_empty(), "{case}: {strange:?}");
}
