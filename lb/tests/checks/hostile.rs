//! Answers that are none: from the wrong guest or place, out of turn, broken on purpose. Each ends
//! once and changes nothing, and the right answer is heard after all of them.

use std::time::Duration;

use lb::wire::ip::Version;
use lb::*;
use proptest::prelude::*;

use crate::scene::{Scene, What};
use crate::station::Manner;
use crate::world::*;

/// A probe under way to the first of two guests, both silent.
struct Asked {
    scene: Scene,
    /// The ends of a right answer.
    ends: Ends,
    probe: Packet,
    frame: Vec<u8>,
}

const VERSIONS: [Version; 2] = [Version::V4, Version::V6];
/// A frame that seems to answer, and the port that it comes in on.
type Attempt = (&'static str, usize, Vec<u8>, Result<(), DropReason>);

impl Asked {
    fn new(what: What, version: Version) -> Asked {
        let served = Served { version, ..Served::default() };
        let check = Check { interval: Duration::from_secs(30), ..what.check() };
        let check = Check { timeout: Duration::from_secs(30), ..check };
        let mut scene = Scene::new(what, served, check, &[Manner::Silent, Manner::Silent]);
        scene.world.apply(Command::DeleteReal { service: name("web"), guest: name("web2") });
        let frame = scene.first_probe();
        let probe = read_packet(&frame);
        Asked { scene, ends: probe.ends.reversed(), probe, frame }
    }

    /// Nothing of all this is an answer.
    fn all_in_vain(&mut self, attempts: Vec<Attempt>) {
        for (what, ingress, frame, end) in attempts {
            let before = self.scene.counters();
            let ended =
                self.scene.world.send(ingress, &frame).map(|out| assert!(out.ports.is_empty()));
            assert_eq!(ended, end, "{what}");
            let said = self.scene.world.originated();
            assert!(said.len() <= 1 && said.iter().all(|out| out.ports == [1]), "{what}: {said:?}");
            let watch = self.scene.watch(1);
            assert_eq!((watch.health, watch.last), (Health::Unknown, None), "{what}");
            let after = self.scene.counters();
            assert_eq!(ProbeCounters { ignored: before.ignored, ..after }, before, "{what}");
            assert_eq!(self.scene.world.plane.flows().len(), 0, "{what}");
            assert!(self.scene.told().is_empty(), "{what}");
        }
    }

    fn sequence(&self) -> u32 {
        let Carries::Tcp(tcp) = &self.probe.carries else { panic!("{:?}", self.probe) };
        tcp.sequence_number
    }

    /// The same from places where the guest is not, and to where nobody asks.
    fn misplaced(&self, make: impl Fn(Ends) -> Vec<u8>, lost: DropReason) -> Vec<Attempt> {
        let ends = self.ends;
        let own = if ends.source.0.is_ipv4() { guest_address(2) } else { guest_address_v6(2) };
        let stranger = Ends { source_mac: guest_mac(2), ..ends };
        vec![
            ("another guest in its name", 2, make(stranger), Err(lost)),
            (
                "another guest",
                2,
                make(Ends { source: (own, ends.source.1), ..stranger }),
                Err(lost),
            ),
            (
                "another MAC on its port",
                1,
                make(Ends { source_mac: [2, 9, 9, 9, 9, 9], ..ends }),
                Err(DropReason::SpoofMac),
            ),
            ("the guest's MAC elsewhere", 2, make(ends), Err(DropReason::SpoofMac)),
            (
                "the uplink",
                UPLINK,
                make(Ends { source_mac: CLIENT_MAC, ..ends }),
                Err(DropReason::ReportPort),
            ),
            ("another VLAN", 1, make(Ends { vlan: 20, ..ends }), Err(lost)),
        ]
    }
}

#[test]
fn segments_before_the_connection_is_there() {
    for version in VERSIONS {
        let mut asked = Asked::new(What::Tcp, version);
        let (ends, next) = (asked.ends, asked.sequence().wrapping_add(1));
        let accept = |ends: Ends| ends.segment(5000, next, 4096, "SA", &[]);
        let from = |port: u16| Ends { source: (ends.source.0, port), ..ends };
        let to = |port: u16| Ends { destination: (ends.destination.0, port), ..ends };
        let mut broken = accept(ends);
        *broken.last_mut().unwrap() ^= 1;
        let mut attempts = asked.misplaced(accept, DropReason::NoProbe);
        attempts.extend([
            ("another port", 1, accept(from(8081)), Err(DropReason::NoProbe)),
            (
                "to another connection",
                1,
                accept(to(ends.destination.1 ^ 1)),
                Err(DropReason::NoProbe),
            ),
            (
                "to this one's other port",
                1,
                accept(to(ends.destination.1 ^ 64)),
                Err(DropReason::NoProbe),
            ),
            ("a wrong checksum", 1, broken, Ok(())),
            (
                "a call of its own",
                1,
                ends.segment(5000, next, 4096, "S", &[]),
                Err(DropReason::TcpFlags),
            ),
            ("another acknowledgement", 1, ends.segment(5000, next + 1, 4096, "SA", &[]), Ok(())),
            ("an old acknowledgement", 1, ends.segment(5000, next - 1, 4096, "SA", &[]), Ok(())),
            ("a reset that acknowledges nothing", 1, ends.segment(5000, 0, 0, "R", &[]), Ok(())),
            ("a reset of something else", 1, ends.segment(0, next + 9, 0, "RA", &[]), Ok(())),
            ("data at once", 1, ends.segment(5000, next, 4096, "A", b"HTTP/1.1 200 "), Ok(())),
            ("the end at once", 1, ends.segment(5000, next, 4096, "FA", &[]), Ok(())),
        ]);
        if version == Version::V4 {
            let mut fragment = accept(ends);
            patch_ipv4(&mut fragment, ends.ip_at(), &[(6, 0x20)]);
            let mut bad_sum = accept(ends);
            bad_sum[ends.ip_at() + 10] ^= 1;
            attempts.push(("a fragment", 1, fragment, Err(DropReason::Fragment)));
            attempts.push(("a broken header", 1, bad_sum, Err(DropReason::IpChecksum)));
        }
        asked.all_in_vain(attempts);
        asked.scene.say(1, vec![accept(ends)]);
        assert_eq!(asked.scene.watch(1).health, Health::Up, "the right answer");
        let reset = read_packet(&asked.scene.world.originated().pop().unwrap().frame);
        let Carries::Tcp(tcp) = reset.carries else { panic!("{reset:?}") };
        assert!(tcp.rst && tcp.sequence_number == next);
        let again = asked.scene.world.send(1, &accept(ends)).unwrap_err();
        assert_eq!(again, DropReason::NoProbe, "the same once more answers nothing");
        assert_eq!(asked.scene.watch(1).passed, 1);
    }
}

#[test]
fn segments_of_an_open_connection() {
    for version in VERSIONS {
        let mut asked = Asked::new(What::HttpText, version);
        let (ends, next) = (asked.ends, asked.sequence().wrapping_add(1));
        asked.scene.say(1, vec![ends.segment(5000, next, 4096, "SA", &[])]);
        let request = asked.scene.world.originated().pop().expect("a request");
        let (_, request) = read(&request.frame);
        let done = next.wrapping_add(request.len() as u32);
        let segment =
            |sequence: u32, acknowledges: u32, window: u16, flags: &str, payload: &[u8]| {
                ends.segment(sequence, acknowledges, window, flags, payload)
            };
        asked.all_in_vain(vec![
            ("the SYN-ACK again", 1, segment(5000, next, 4096, "SA", &[]), Ok(())),
            ("another SYN-ACK", 1, segment(9000, next, 4096, "SA", &[]), Ok(())),
            ("a reset out of the window", 1, segment(90_000, done, 0, "R", &[]), Ok(())),
            ("a reset before the window", 1, segment(4999, done, 0, "RA", &[]), Ok(())),
            ("data beyond the window", 1, segment(5001 + 1024, done, 4096, "A", b"ready"), Ok(())),
            (
                "data of half a world away",
                1,
                segment(5001 + (1 << 31), done, 4096, "A", b"ready"),
                Ok(()),
            ),
            ("data out of order", 1, segment(5001 + 100, done, 4096, "A", b"ready"), Ok(())),
            ("the end out of order", 1, segment(5001 + 100, done, 4096, "FA", &[]), Ok(())),
            (
                "an acknowledgement of the future",
                1,
                segment(5001, done + 1, 4096, "A", b"ready"),
                Ok(()),
            ),
            ("of the past", 1, segment(5001, next - 1, 4096, "A", b"ready"), Ok(())),
            ("no window", 1, segment(5001, next, 0, "A", &[]), Ok(())),
            ("all the window", 1, segment(5001, next, u16::MAX, "A", &[]), Ok(())),
            ("no acknowledgement", 1, segment(5001, 0, 4096, "P", b"ready"), Ok(())),
        ]);
        asked.scene.pass(Duration::from_secs(2));
        let answer = b"HTTP/1.1 200 OK\r\n\r\nready";
        asked.scene.say(1, vec![segment(5001, done, 4096, "A", answer)]);
        assert_eq!((asked.scene.watch(1).health, asked.scene.watch(1).passed), (Health::Up, 1));
    }
}

#[test]
fn a_reset_of_an_open_connection_fails_the_check() {
    for version in VERSIONS {
        let mut asked = Asked::new(What::HttpText, version);
        let (ends, next) = (asked.ends, asked.sequence().wrapping_add(1));
        asked.scene.say(
            1,
            vec![
                ends.segment(5000, next, 4096, "SA", &[]),
                ends.segment(5001, next, 4096, "RA", &[]),
            ],
        );
        assert_eq!(asked.scene.watch(1).last, Some(Err(Failure::Reset)));
        assert_eq!(asked.scene.world.plane.probes().connections(), 0);
    }
}

#[test]
fn echoes_and_datagrams() {
    for version in VERSIONS {
        let mut asked = Asked::new(What::Icmp, version);
        let Carries::Icmp { rest, .. } = asked.probe.carries else { panic!("{:?}", asked.probe) };
        let (ends, reply) = (asked.ends, if version == Version::V4 { 0 } else { 129 });
        let [i0, i1, s0, s1] = rest;
        let echo = |ends: Ends, rest: [u8; 4]| ends.icmp(reply, 0, rest, &[]);
        let mut broken = echo(ends, rest);
        let at = ends.payload_at() + 2;
        broken[at] ^= 1;
        let mut attempts = asked.misplaced(|ends| echo(ends, rest), DropReason::Icmp);
        attempts.extend([
            ("another sequence number", 1, echo(ends, [i0, i1, s0, s1 ^ 1]), Err(DropReason::Icmp)),
            ("another identifier", 1, echo(ends, [i0 ^ 0x10, i1, s0, s1]), Err(DropReason::Icmp)),
            ("of another real", 1, echo(ends, [i0, i1 ^ 1, s0, s1]), Err(DropReason::Icmp)),
            ("a code", 1, ends.icmp(reply, 1, rest, &[]), Err(DropReason::Icmp)),
            ("a wrong checksum", 1, broken, Err(DropReason::Icmp)),
        ]);
        asked.all_in_vain(attempts);
        asked.scene.say(1, vec![echo(ends, rest)]);
        assert_eq!(asked.scene.watch(1).health, Health::Up);

        let mut asked = Asked::new(What::Udp, version);
        let (ends, quote) = (asked.ends, asked.frame[asked.ends.ip_at()..].to_vec());
        let (kind, code) = if version == Version::V4 { (3, 3) } else { (1, 4) };
        let mut other = quote.clone();
        let ports_at = ends.payload_at() - ends.ip_at();
        other[ports_at + 3] ^= 1;
        let tell = |ends: Ends, code: u8, quote: &[u8]| {
            let ends =
                Ends { source: (ends.source.0, 0), destination: (ends.destination.0, 0), ..ends };
            ends.icmp(kind, code, [0; 4], quote)
        };
        let to = |port: u16| Ends { destination: (ends.destination.0, port), ..ends };
        let mut broken = ends.udp(b"?");
        *broken.last_mut().unwrap() ^= 1;
        let mut attempts = asked.misplaced(|ends| ends.udp(b"?"), DropReason::NoProbe);
        attempts.extend(asked.misplaced(|ends| tell(ends, code, &quote), DropReason::IcmpInner));
        attempts.extend([
            ("to another probe", 1, to(ends.destination.1 + 1).udp(b"?"), Err(DropReason::NoProbe)),
            ("to no probe of a datagram", 1, to(0xffff).udp(b"?"), Err(DropReason::NoProbe)),
            ("a wrong checksum", 1, broken, Ok(())),
            (
                "an error about another port",
                1,
                tell(ends, code, &other),
                Err(DropReason::IcmpInner),
            ),
            ("another error", 1, tell(ends, 1, &quote), Err(DropReason::IcmpInner)),
            (
                "an error cut short",
                1,
                tell(ends, code, &quote[..ports_at + 7]),
                Err(DropReason::IcmpInner),
            ),
        ]);
        asked.all_in_vain(attempts);
        asked.scene.say(1, vec![tell(ends, code, &quote)]);
        assert_eq!(asked.scene.watch(1).last, Some(Err(Failure::PortUnreachable)));
    }
}

/// One thing that a guest may do.
#[derive(Clone, Debug)]
enum Step {
    Wait {
        ms: u64,
    },
    Segment {
        sequence: i64,
        acknowledges: i64,
        window: u16,
        flags: &'static str,
        len: usize,
    },
    /// The last segment, with a byte changed.
    Garble {
        at: prop::sample::Index,
        value: u8,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let near = prop_oneof![
        6 => Just(0i64),
        3 => -3i64..=1500,
        1 => Just(i64::from(u32::MAX / 2)),
        1 => any::<u32>().prop_map(i64::from),
    ];
    let flags =
        prop::sample::select(vec!["A", "PA", "FA", "FPA", "RA", "R", "SA", "S", "F", "P", "SFA"]);
    let window = prop_oneof![Just(0u16), Just(1), Just(4096), Just(u16::MAX), any::<u16>()];
    let len = prop_oneof![3 => Just(0usize), 2 => 1usize..40, 1 => 1000usize..=1440];
    let segment = (near.clone(), near, window, flags, len).prop_map(
        |(sequence, acknowledges, window, flags, len)| Step::Segment {
            sequence,
            acknowledges,
            window,
            flags,
            len,
        },
    );
    let garble = (any::<prop::sample::Index>(), any::<u8>())
        .prop_map(|(at, value)| Step::Garble { at, value });
    let step =
        prop_oneof![8 => segment, 2 => garble, 1 => (1u64..1500).prop_map(|ms| Step::Wait { ms })];
    prop::collection::vec(step, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A guest that accepts every connection and then does what it likes: nothing panics, hangs or
    /// grows, and every probe ends.
    #[test]
    fn whatever_a_guest_sends(version in prop::sample::select(VERSIONS.to_vec()), steps in steps()) {
        let served = Served { version, ..Served::default() };
        let mut scene = Scene::new(What::HttpText, served, What::HttpText.check(), &[Manner::Silent]);
        let answer = b"HTTP/1.1 200 OK\r\n\r\n".repeat(80);
        // The connection that was asked for last: its ends, what the guest says next, what it heard.
        let mut call: Option<(Ends, u32, u32)> = None;
        let mut last = Vec::new();
        for step in steps {
            match step {
                Step::Wait { ms } => {
                    for _ in 0..ms / 10 {
                        scene.world.now = scene.world.now + Duration::from_millis(10);
                        scene.world.plane.housekeep(scene.world.now);
                        hear(&mut scene, &mut call);
                    }
                }
                Step::Segment { sequence, acknowledges, window, flags, len } => {
                    let Some((ends, next_out, heard)) = &mut call else { continue };
                    let sequence = next_out.wrapping_add(sequence as u32);
                    let acknowledges = heard.wrapping_add(acknowledges as u32);
                    let payload = &answer[..len];
                    last = ends.segment(sequence, acknowledges, window, flags, payload);
                    *next_out = next_out.wrapping_add(len as u32);
                    let _ = scene.world.send(1, &last);
                    hear(&mut scene, &mut call);
                }
                Step::Garble { at, value } => {
                    if !last.is_empty() {
                        let mut garbled = last.clone();
                        let at = at.index(garbled.len());
                        garbled[at] = value;
                        let _ = scene.world.send(1, &garbled);
                        hear(&mut scene, &mut call);
                    }
                }
            }
            let (counters, probes) = (scene.counters(), scene.world.plane.probes());
            prop_assert!(probes.connections() <= 1);
            let ended = counters.passed + counters.failed;
            prop_assert_eq!(counters.sent - ended, probes.connections() as u64);
            prop_assert_eq!(scene.world.plane.flows().len(), 0);
        }
        let failed = scene.counters().failed;
        for _ in 0..200 {
            scene.world.now = scene.world.now + Duration::from_millis(10);
            scene.world.plane.housekeep(scene.world.now);
            scene.world.originated();
        }
        prop_assert!(scene.counters().failed > failed, "silence is known as such");
    }
}

/// The guest takes what waits for it: calls are accepted, and what is acknowledged is remembered.
fn hear(scene: &mut Scene, call: &mut Option<(Ends, u32, u32)>) {
    for round in 0.. {
        assert!(round < 8, "a talk without an end");
        let outs: Vec<_> = scene.world.originated();
        let outs: Vec<_> = outs.into_iter().filter(|out| !scene.is_told(out)).collect();
        if outs.is_empty() {
            return;
        }
        for Out { frame, .. } in outs {
            let packet = read_packet(&frame);
            let Carries::Tcp(tcp) = packet.carries else { panic!("{packet:?}") };
            let heard = tcp.sequence_number.wrapping_add(packet.payload.len() as u32);
            if tcp.syn {
                let (ends, heard) = (packet.ends.reversed(), heard.wrapping_add(1));
                *call = Some((ends, SEQUENCE.wrapping_add(1), heard));
                let _ = scene.world.send(1, &ends.segment(SEQUENCE, heard, 300, "SA", &[]));
            } else if let Some((ends, _, last)) = call
                && *ends == packet.ends.reversed()
            {
                *last = heard;
            }
        }
    }
}

/// So that both numbers wrap in most connections.
const SEQUENCE: u32 = 0xffff_fe00;
