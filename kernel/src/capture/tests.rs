//! What is taken and what is not, the bytes of the file, and what a full ring does.

use std::string::String;
use std::vec::Vec;

use drivers::{Offload, PartialChecksum, Pool};
use etherparse::PacketBuilder;
use lb::{Filter, Instant, PortId};

use super::*;

const MACS: [[u8; 6]; 2] = [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]];

fn port(at: usize) -> PortId {
    PortId::new(at).expect("a port")
}

/// A segment from a client to a web server.
fn tcp() -> Vec<u8> {
    let builder = PacketBuilder::ethernet2(MACS[0], MACS[1]);
    let mut frame = Vec::new();
    let ip = builder.ipv4([192, 0, 2, 9], [10, 0, 2, 100], 64);
    ip.tcp(40_000, 80, 1, 100).syn().write(&mut frame, b"hello").unwrap();
    frame
}

#[test]
fn every_word_must_hold() {
    let pool = Pool::new(1);
    let frame = pool.take_copy(&tcp()).unwrap();
    let dns = Filter { l4_port: Some(53), ..Filter::default() };
    for (what, here, way, filter, expected) in [
        ("nothing said", None, None, Filter::default(), [1, 1, 1]),
        ("a port", Some(port(1)), None, Filter::default(), [1, 1, 0]),
        ("a way", None, Some(Way::In), Filter::default(), [1, 0, 1]),
        ("both", Some(port(1)), Some(Way::In), Filter::default(), [1, 0, 0]),
        ("another service", Some(port(1)), None, dns, [0, 0, 0]),
    ] {
        let wanted = Wanted { port: here, way, filter, ..wanted(1, SNAP_BYTES_MAX) };
        let passes = [(port(1), Way::In), (port(1), Way::Out), (port(2), Way::In)];
        let taken = passes.map(|(port, way)| u8::from(wanted.takes(port, way, &frame)));
        assert_eq!(taken, expected, "{what}");
    }
}

fn wanted(frames: u16, snap_bytes: u16) -> Wanted {
    Wanted { frames, snap_bytes, ..Wanted::default() }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

#[test]
fn the_ring_holds_a_pcap_file() {
    let pool = Pool::new(8);
    let mut capture = Capture::default();
    assert!(!capture.is_on());
    capture.begin(wanted(2, 20));
    let (bytes, now) = (tcp(), Instant::from_millis(61_234));
    let frame = pool.take_copy(&bytes).unwrap();
    capture.see(port(0), Way::In, &frame, now);
    assert!(capture.is_on());
    let mut half_done = pool.take_copy(&bytes[..18]).unwrap();
    half_done.set_offload(Offload {
        checksum: Some(PartialChecksum { start: 14, offset: 2 }),
        segments: None,
    });
    capture.see(port(1), Way::Out, &half_done, now);
    capture.see(port(1), Way::Out, &frame, now);
    assert!(!capture.is_on(), "both were taken");
    let tally = Tally { received: 1, sent: 1, cut_short: 1, unfinished: 1, ..Tally::default() };
    assert_eq!(capture.tally(), tally);

    let mut file: Vec<u8> = capture.read(7).collect();
    file.extend(capture.read(usize::MAX));
    assert_eq!(capture.waiting(), 0);
    assert_eq!(
        [0, 4, 8, 12, 16, 20].map(|at| word(&file, at)),
        [0xa1b2_3c4d, 0x4_0002, 0, 0, 20, 1]
    );
    let record = |at: usize| [0, 4, 8, 12].map(|field| word(&file, at + field));
    assert_eq!(record(24), [61, 234_000_000, 20, bytes.len() as u32]);
    assert_eq!(file[40..60], bytes[..20]);
    assert_eq!(record(60), [61, 234_000_000, 18, 18]);
    assert_eq!(file[76..], bytes[..18]);
}

#[test]
fn a_full_ring_counts_what_it_misses() {
    let pool = Pool::new(2);
    let mut capture = Capture::default();
    capture.begin(wanted(FRAMES_MAX, SNAP_BYTES_MAX));
    let frame = pool.take_copy(&[7; 1514]).unwrap();
    let see = |capture: &mut Capture, times: usize| {
        (0..times).for_each(|_| capture.see(port(0), Way::In, &frame, Instant::START));
    };
    see(&mut capture, 400);
    let fit = (RING_BYTES - 24) / (16 + 1514);
    let Tally { received, missed, .. } = capture.tally();
    assert_eq!((usize::from(received), missed), (fit, 400 - fit as u64));
    assert!(capture.waiting() <= RING_BYTES && capture.is_on());
    capture.read(2 * (16 + 1514)).for_each(drop);
    see(&mut capture, 3);
    assert_eq!(usize::from(capture.tally().received), fit + 2, "what was read makes room");
    capture.begin(wanted(1, SNAP_BYTES_MAX));
    assert_eq!((capture.tally(), capture.waiting()), (Tally::default(), 24), "all anew");
}

#[test]
fn what_did_not_leave_was_not_seen() {
    let pool = Pool::new(2);
    let mut capture = Capture::default();
    capture.begin(wanted(1, SNAP_BYTES_MAX));
    let frame = pool.take_copy(&[7; 60]).unwrap();
    let mut tap = Tap { capture: &mut capture, port: port(3), now: Instant::START };
    let mark = tap.see(&frame);
    tap.take_back(mark);
    assert_eq!((capture.tally(), capture.waiting(), capture.is_on()), (Tally::default(), 24, true));
    capture.stop();
    let mut tap = Tap { capture: &mut capture, port: port(3), now: Instant::START };
    let mark = tap.see(&frame);
    tap.take_back(mark);
    assert!(!capture.is_on(), "what was stopped stays so");
}

/// RFC 4648 §10, and lines of 76.
#[test]
fn base64_is_base64() {
    let text_of = |bytes: &[u8], chunk: usize| {
        let (mut base64, mut text) = (Base64::default(), String::new());
        bytes.chunks(chunk).for_each(|part| base64.write(part.iter().copied(), &mut text));
        base64.end(&mut text);
        text
    };
    let cases = [
        ("", ""),
        ("f", "Zg==\n"),
        ("fo", "Zm8=\n"),
        ("foo", "Zm9v\n"),
        ("foob", "Zm9vYg==\n"),
        ("fooba", "Zm9vYmE=\n"),
        ("foobar", "Zm9vYmFy\n"),
    ];
    for (bytes, text) in cases {
        for chunk in 1..4 {
            assert_eq!(text_of(bytes.as_bytes(), chunk), text);
        }
    }
    assert_eq!(text_of(&[0xfb, 0xff], 2), "+/8=\n");
    let long = text_of(&[0; 130], 11);
    let lines: Vec<usize> = long.lines().map(str::len).collect();
    assert_eq!(lines, [76, 76, 24]);
}
