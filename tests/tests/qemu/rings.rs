//! Devices that lie to the booted image: who lies loses his port for a while, and nobody else a frame.
//!
//! Each device is one whose rings the test plays itself, in the machine's memory. Beside them there are a
//! client and two guests whose frames are counted one by one, and somebody for the liars to talk to.

use std::thread;
use std::time::Instant;

use tests::console::number_after;
use tests::faults::{await_buffers_of, await_port};
use tests::vhost::{Answer, Lie, Named, RECEIVE, TRANSMIT, VhostUser};
use tests::world::World;
use tests::{Dice, Frame, LIMIT, MacAddr, Raw, Setup, Station};

/// IEEE 802's second ethertype for local experiments; the harness's markers have the first.
const ETHER_TYPE: u16 = 0x88b6;
/// Ports of the client, the guests and the partner.
const OTHERS: usize = 4;
/// Entries of a ring.
const RING: u32 = 256;

const fn chain(at: usize, length: u32) -> Answer {
    Answer { named: Named::Chain(at), length }
}

const fn number(id: u32) -> Answer {
    Answer { named: Named::Number(id), length: 60 }
}

struct Case {
    what: &'static str,
    ring: usize,
    lie: Lie,
    fault: &'static str,
}

const fn case(
    what: &'static str,
    ring: usize,
    (answers, step): (&'static [Answer], u16),
    fault: &'static str,
) -> Case {
    Case { what, ring, lie: Lie { answers, step }, fault }
}

/// D1, D2, D4, D5, D6, each on the ring where it means something.
const LIES: [Case; 12] = [
    case("a number that the ring does not have", RECEIVE, (&[number(RING)], 1), "used_id"),
    case("one that is 0 to whoever cuts it short", RECEIVE, (&[number(1 << 16)], 1), "used_id"),
    case("the largest number", RECEIVE, (&[number(u32::MAX)], 1), "used_id"),
    case("a buffer twice", RECEIVE, (&[chain(0, 72), chain(0, 72)], 2), "used_not_head"),
    case("more than a buffer holds", RECEIVE, (&[chain(0, 4096)], 1), "used_len"),
    case("more than memory holds", RECEIVE, (&[chain(0, u32::MAX)], 1), "used_len"),
    case("an index a ring ahead", RECEIVE, (&[], RING as u16 + 1), "used_idx"),
    case("an index that went back", RECEIVE, (&[], u16::MAX), "used_idx"),
    case("a number beyond the ring, sent", TRANSMIT, (&[number(RING)], 1), "used_id"),
    case("a frame sent twice", TRANSMIT, (&[chain(0, 0), chain(0, 0)], 2), "used_not_head"),
    case("more sent than there was", TRANSMIT, (&[], 200), "used_idx"),
    case("fewer sent than before", TRANSMIT, (&[], u16::MAX), "used_idx"),
];

/// Everybody lies at once, each in his way.
#[test]
fn f16_d1_to_d6_whoever_lies_loses_his_port_and_gets_it_back() {
    let (world, mut liars) = world(LIES.len());
    world.under_traffic(40_000, |traffic| {
        // Nobody takes them yet, so they may be answered falsely.
        for at in 0..LIES.len() {
            let before = counted(&world, at, "tx_unicast");
            (0..2).for_each(|_| partner(&world).send(to_device(&world, at)));
            await_counted(&world, at, "tx_unicast", before + 2);
        }
        LIES.iter().zip(&mut liars).for_each(|(case, liar)| liar.lie(case));
        for (at, case) in LIES.iter().enumerate() {
            await_back(&world, at, 1);
            assert_eq!(counted(&world, at, "faults"), 1, "{}", case.what);
        }
        traffic.pass(1);
        liars.iter_mut().for_each(|liar| liar.assert_works(&world));
        traffic.pass(1);
    });
    let log = world.command("show log");
    for (at, case) in LIES.iter().enumerate() {
        let told = format!("port {}: device broken ({})", port(at), case.fault);
        assert!(log.contains(&told), "{}: no '{told}' in\n{log}", case.what);
    }
    assert_eq!(log.matches("broken").count(), LIES.len(), "nobody else was:\n{log}");
    assert_nothing_is_missing(&world, liars);
}

/// Rings full of chance, again and again: whatever it is, the same comes of it.
#[test]
fn f16_rings_that_are_noise() {
    const DEVICES: usize = 8;
    const ROUNDS: u64 = 3;
    let (world, mut liars) = world(DEVICES);
    let mut dice = Dice(16);
    world.under_traffic(40_000, |traffic| {
        for round in 1..=ROUNDS {
            for liar in &mut liars {
                let ring = [RECEIVE, TRANSMIT][dice.roll(2)];
                liar.device.babble(ring, &mut dice).expect("the ring is there");
            }
            for at in 0..DEVICES {
                await_back(&world, at, round);
            }
            traffic.pass(1);
        }
        liars.iter_mut().for_each(|liar| liar.assert_works(&world));
    });
    assert_nothing_is_missing(&world, liars);
}

/// F13, D16: somebody takes nothing any more, as a guest that is paused. What is for him waits in his ring
/// until it is full, what comes then is counted; the others lose nothing, and he finds his port as it was.
#[test]
fn f13_d16_a_device_that_stops_and_goes_on() {
    const FRAMES: u64 = 400;
    let (world, mut liars) = world(1);
    let device = &mut liars[0];
    world.under_traffic(40_000, |traffic| {
        // What was for all is taken with this.
        device.assert_works(&world);
        let before = counted(&world, 0, "tx_unicast");
        let sent = Frame::from(to_device(&world, 0)).bytes();
        (0..FRAMES).for_each(|_| partner(&world).send_bytes(&sent));
        traffic.pass(1);
        await_counted(&world, 0, "tx_stall", 1);
        let taken = counted(&world, 0, "tx_unicast") - before;
        // The switch's own announcements want a place, too.
        assert!(taken <= u64::from(RING), "{taken} frames in his ring");
        assert!(counted(&world, 0, "tx_full") >= FRAMES - taken);
        let mut came = 0;
        device.take(|frame| {
            came += u64::from(*frame == *sent);
            came == taken
        });
        device.assert_works(&world);
        assert_eq!(counted(&world, 0, "faults"), 0);
        traffic.pass(1);
    });
    assert_nothing_is_missing(&world, liars);
}

/// The client, two guests, the partner, and so many devices whose ends are ours, known to the switch.
fn world(devices: usize) -> (World, Vec<Liar>) {
    let setup = Setup { shared: devices, ..Setup::default() };
    let mut world = World::on(setup, &[100, 100, 0]);
    let liars = std::mem::take(&mut world.machine.devices).into_iter().enumerate();
    let mut liars: Vec<Liar> = liars.map(|(at, device)| Liar { at, device }).collect();
    for liar in &mut liars {
        await_port(&world.machine.console, &port(liar.at), "up");
        liar.assert_works(&world);
    }
    (world, liars)
}

/// Who plays a device's rings.
struct Liar {
    at: usize,
    device: VhostUser,
}

impl Liar {
    fn lie(&mut self, case: &Case) {
        let told = self.device.lie(case.ring, &case.lie);
        told.unwrap_or_else(|error| panic!("{}: {error}", case.what));
    }

    /// Takes frames off its ring until one is the last.
    #[track_caller]
    fn take(&mut self, mut is_last: impl FnMut(&[u8]) -> bool) {
        let end = Instant::now() + LIMIT;
        let mut is_over = false;
        while !is_over {
            assert!(Instant::now() < end, "what was sent to {} did not come", port(self.at));
            let taken = self.device.receive(&mut |frame| is_over |= is_last(frame));
            taken.expect("the ring is whole");
            thread::yield_now();
        }
    }

    /// Frames pass between it and the partner.
    #[track_caller]
    fn assert_works(&mut self, world: &World) {
        let (to_it, partner) = (to_device(world, self.at), partner(world));
        let from_it = Raw { from: to_it.to, to: to_it.from, ..to_it.clone() };
        let bytes = Frame::from(from_it.clone()).bytes();
        let sent = self.device.send(1, &mut |_, buffer| {
            buffer[..bytes.len()].copy_from_slice(&bytes);
            bytes.len()
        });
        assert_eq!(sent, Ok(1), "there is a buffer");
        partner.expect(from_it);
        let bytes = Frame::from(to_it).bytes();
        partner.send_bytes(&bytes);
        // What is for all comes here, too.
        self.take(|frame| *frame == *bytes);
    }
}

fn port(device: usize) -> String {
    format!("p{}", OTHERS + device)
}

/// A guest that no flow goes to.
fn partner(world: &World) -> &Station {
    &world.guests[2]
}

/// A frame of the partner's.
fn to_device(world: &World, at: usize) -> Raw {
    let (from, to) = (partner(world).mac, MacAddr([0x52, 0x54, 0, 3, 0, at as u8]));
    Raw { from, to, ether_type: ETHER_TYPE, payload: vec![at as u8; 100] }
}

/// What the NIC of a device has counted.
fn counted(world: &World, at: usize, counter: &str) -> u64 {
    let shown = world.command(&format!("show port {}", port(at)));
    number_after(&shown, counter).unwrap_or(0)
}

#[track_caller]
fn await_counted(world: &World, at: usize, counter: &str, least: u64) {
    let is_it = |shown: &str| number_after(shown, counter).is_some_and(|count| count >= least);
    world.machine.console.command_until(&format!("show port {}", port(at)), is_it);
}

/// Waits for the end of an outage.
#[track_caller]
fn await_back(world: &World, at: usize, resets: u64) {
    await_counted(world, at, "resets", resets);
    await_port(&world.machine.console, &port(at), "up");
}

/// Every frame has its ending, and every buffer is where it belongs.
#[track_caller]
fn assert_nothing_is_missing(world: &World, mut liars: Vec<Liar>) {
    world.machine.assert_accounted();
    liars.iter_mut().for_each(|liar| liar.assert_works(world));
    await_buffers_of(&world.machine.console, (OTHERS + liars.len()) as u64);
}
