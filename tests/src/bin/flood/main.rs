//! F7: what a SYN flood from the uplink costs those who were there before: `./tests/flood.sh`.
//!
//! ```text
//!   client ──(established flows, a steady trickle)──┐                      ┌─▶ g1, the real
//!   strangers ──(SYNs, each from another address)───┴─▶ uplink ─▶ switch ──┤
//!                                                          g2 ────────────▶└─▶ g3
//! ```
//!
//! First comes the zero-loss rate (NDR) of established flows, from below by doubling and then
//! halving the interval. A tenth of it is what the client and g2 each send from then on; the flood
//! comes on top, at 100 % and at 200 % of NDR. Goodput is what arrives over what arrives without a
//! flood. All frames are as short as they can be.
//!
//! A socket pair loses nothing: it has a sender wait. A wire has nobody wait, so every sender has a
//! ring of [`RING_FRAMES`] frames as a NIC has, and what does not fit into it is lost there, of
//! whatever kind it is. What the harness itself can send is measured first, on a pair of sockets
//! with nothing between: figures near that are the harness's, not the switch's. Harness and QEMU
//! share the machine's cores, so all of it depends on how busy the machine is.

mod frames;

use std::fs;
use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use frames::{Kind, answer, between_guests, client_frame, make_stranger, strangers_syn};
use tests::world::{VIP, WEB, guest_line};
use tests::{Machine, Setup, TcpFlags};

const FLOWS: u16 = 64;
/// Ports of the switch.
const UPLINK: usize = 0;
const REAL: usize = 1;
const SENDER: usize = 2;
const RECEIVER: usize = 3;
const RING_FRAMES: u64 = 1024;
/// How long a sender waits for a wire that takes nothing before it looks at its ring again.
const PATIENCE: Duration = Duration::from_millis(2);
/// A load this heavy is as good as any.
const RATE_MAX: u64 = 400_000;
const TRIAL: Duration = Duration::from_secs(1);
const TRIALS: usize = 3;
const FLOOD: Duration = Duration::from_secs(5);
const RECOVERY: Duration = Duration::from_secs(3);
/// Goodput is looked at in pieces of this length when it recovers.
const WINDOW: Duration = Duration::from_millis(200);
/// What was sent has arrived by then.
const DRAIN: Duration = Duration::from_millis(300);

fn main() -> ExitCode {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("?").to_string();
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let accel = std::env::var("FULCRUM_ACCEL").unwrap_or_else(|_| "tcg".into());
    println!("{accel}, {cores} cores for QEMU and harness together, load average {load} before");
    let ceiling = harness_ceiling();
    let bench = Bench::boot();
    let held = thread::scope(|scope| {
        for port in [UPLINK, REAL, SENDER, RECEIVER] {
            let bench = &bench;
            scope.spawn(move || bench.listen(port));
        }
        // However it ends, the listeners do too.
        let _stop = Stop(&bench.is_over);
        bench.open_flows();
        bench.measure(ceiling)
    });
    println!("\n{}", bench.machine.console.command("show counters"));
    if held { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What the harness sends to itself in a second.
fn harness_ceiling() -> u64 {
    let (near, far) = UnixDatagram::pair().expect("a descriptor is free");
    near.set_write_timeout(Some(PATIENCE)).expect("above zero");
    far.set_read_timeout(Some(PATIENCE)).expect("above zero");
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut buffer = [0; 65_536];
            let mut heard = 0;
            while !is_over.load(Ordering::Relaxed) {
                heard += u64::from(far.recv(&mut buffer).is_ok());
            }
            heard
        });
        let mut syn = strangers_syn();
        pace(&near, u64::from(u32::MAX), TRIAL, |at, send| {
            make_stranger(&mut syn, at);
            send(&syn)
        });
        is_over.store(true, Ordering::Relaxed);
        reader.join().expect("it only counts")
    })
}

struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The machine, and what has arrived at its stations.
struct Bench {
    machine: Machine,
    wires: Vec<UnixDatagram>,
    /// The real's SYN-ACKs, at the client.
    answers: AtomicU64,
    /// Segments of established flows, at the real.
    established: AtomicU64,
    /// SYNs of strangers, at the real.
    strangers: AtomicU64,
    /// Frames from guest to guest.
    between_guests: AtomicU64,
    /// Strangers so far; none calls twice.
    made_up: AtomicU64,
    is_over: AtomicBool,
}

/// Frames a second.
#[derive(Clone, Copy)]
struct Rates {
    established: u64,
    flood: u64,
    between_guests: u64,
}

/// What a sender has done: frames taken off the ring by the switch, and lost before it.
#[derive(Clone, Copy, Default)]
struct Sent {
    established: u64,
    flood: u64,
    lost: u64,
}

/// What arrived of a load.
#[derive(Clone, Copy)]
struct Goodput {
    established: u64,
    between_guests: u64,
    sent: Sent,
}

impl Bench {
    fn boot() -> Bench {
        let mut lines: Vec<_> = (1..=3).map(guest_line).collect();
        lines.push(format!("set service web vip {VIP} tcp {}", WEB.vip.port()));
        lines.push(format!("set service web real g{REAL} port {} weight 1", WEB.real_port));
        let configuration = Some(lines.join("\n") + "\n");
        let setup = Setup { ports: 4, memory_mib: 512, configuration, ..Setup::default() };
        let (machine, wires) = Machine::boot_unplugged(setup);
        for wire in &wires {
            wire.set_read_timeout(Some(Duration::from_millis(100))).expect("above zero");
            wire.set_write_timeout(Some(PATIENCE)).expect("above zero");
        }
        Bench {
            machine,
            wires,
            answers: AtomicU64::new(0),
            established: AtomicU64::new(0),
            strangers: AtomicU64::new(0),
            between_guests: AtomicU64::new(0),
            made_up: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
        }
    }

    /// Counts what arrives at a port; a guest answers ARP, and the real its client's SYNs.
    fn listen(&self, port: usize) {
        let mut buffer = [0; 65_536];
        while !self.is_over.load(Ordering::Relaxed) {
            let Ok(len) = self.wires[port].recv(&mut buffer) else {
                continue;
            };
            let frame = &buffer[..len];
            match (port, Kind::of(frame)) {
                (UPLINK, Kind::Syn { .. }) => one_more(&self.answers),
                (RECEIVER, Kind::BetweenGuests) => one_more(&self.between_guests),
                (REAL, Kind::Segment) => one_more(&self.established),
                (REAL, Kind::Syn { of_client: false }) => one_more(&self.strangers),
                (REAL, Kind::Syn { of_client: true }) | (1.., Kind::Arp) => {
                    if let Some(answer) = answer(port, frame) {
                        let _ = self.wires[port].send(&answer);
                    }
                }
                _ => {}
            }
        }
    }

    /// Opens the client's flows: each is open when its SYN is answered and its first segment has
    /// arrived.
    fn open_flows(&self) {
        for flags in [TcpFlags::SYN, TcpFlags::PSH] {
            for flow in 0..FLOWS {
                self.wires[UPLINK].send(&client_frame(flow, flags)).expect("a wire");
                thread::sleep(PATIENCE);
            }
            thread::sleep(DRAIN);
        }
        let open = [&self.answers, &self.established].map(|count| count.load(Ordering::Relaxed));
        assert_eq!(open, [u64::from(FLOWS); 2], "the flows are open");
    }

    /// All figures; whether each was held.
    fn measure(&self, ceiling: u64) -> bool {
        let ndr = self.zero_loss_rate();
        println!("harness alone                  {ceiling:>8} frames/s");
        println!("zero-loss rate (NDR)           {ndr:>8} frames/s");
        if 2 * ndr > ceiling * 8 / 10 {
            println!(
                "  a flood of 200 % is near what the harness can send, so bound by the harness"
            );
        }
        let share = (ndr / 10).max(100);
        let quiet = Rates { established: share, flood: 0, between_guests: share };
        let baseline = self.load(quiet, FLOOD);
        println!(
            "baseline, each a tenth of NDR  {:>8} established, {} between guests in {} s",
            baseline.established,
            baseline.between_guests,
            FLOOD.as_secs()
        );
        println!("\n{:<12} {:<24} {:>8} {:>8}  ", "flood", "figure", "measured", "to hold");
        let mut all_held = true;
        for (percent, established_min) in [(100, 80), (200, 50)] {
            let flood = ndr * percent / 100;
            let result = self.load(Rates { flood, ..quiet }, FLOOD);
            let back_after = self.recovery(quiet);
            let name = format!("{percent} % NDR");
            let mut row = |figure: &str, measured: String, to_hold: String, is_held: bool| {
                let verdict = if is_held { "held" } else { "missed" };
                println!("{name:<12} {figure:<24} {measured:>8} {to_hold:>8}  {verdict}");
                all_held &= is_held;
            };
            let established = 100 * result.established / baseline.established.max(1);
            let guests = 100 * result.between_guests / baseline.between_guests.max(1);
            let to_hold = format!("{established_min} %");
            row("established", format!("{established} %"), to_hold, established >= established_min);
            row("guest to guest", format!("{guests} %"), "95 %".into(), guests >= 95);
            let back =
                back_after.map_or("never".into(), |after| format!("{} ms", after.as_millis()));
            let is_back = back_after.is_some_and(|after| after <= Duration::from_secs(1));
            row("back after", back, "1000 ms".into(), is_back);
            let Sent { established, flood, lost } = result.sent;
            println!(
                "{:<12} taken {}/s at the uplink, lost before it {}/s",
                "",
                (established + flood) / FLOOD.as_secs(),
                lost / FLOOD.as_secs()
            );
            if percent > 100 && 20 * lost < flood {
                println!("  hardly an overload: what else runs here kept the zero-loss rate low");
            }
        }
        println!("\nstrangers' SYNs at the real: {}", self.strangers.load(Ordering::Relaxed));
        all_held
    }

    /// The highest rate of established flows at which nothing is lost, in one of some trials: a
    /// machine with other things to do now and then stops everybody for longer than a ring lasts.
    fn zero_loss_rate(&self) -> u64 {
        let is_lossless = |established: u64| {
            let rates = Rates { established, flood: 0, between_guests: 0 };
            let goodput = self.load(rates, TRIAL);
            goodput.sent.lost == 0 && goodput.established == goodput.sent.established
        };
        let is_lossless = |rate: u64| (0..TRIALS).any(|_| is_lossless(rate));
        let (mut lossless, mut lossy) = (0, 1000);
        while lossy < RATE_MAX && is_lossless(lossy) {
            (lossless, lossy) = (lossy, 2 * lossy);
        }
        for _ in 0..5 {
            let rate = (lossless + lossy) / 2;
            if is_lossless(rate) {
                lossless = rate;
            } else {
                lossy = rate;
            }
        }
        lossless
    }

    /// Sends at these rates for so long; what arrived of it.
    fn load(&self, rates: Rates, time: Duration) -> Goodput {
        let counts =
            || [&self.established, &self.between_guests].map(|n| n.load(Ordering::Relaxed));
        let before = counts();
        let sent = self.send(rates, time);
        thread::sleep(DRAIN);
        let after = counts();
        Goodput { established: after[0] - before[0], between_guests: after[1] - before[1], sent }
    }

    /// How long after the end of a flood all is as before; none if that was not seen.
    fn recovery(&self, rates: Rates) -> Option<Duration> {
        let per_window = rates.established * WINDOW.as_millis() as u64 / 1000;
        let windows = (RECOVERY.as_millis() / WINDOW.as_millis()) as usize;
        let arrived: Vec<u64> = thread::scope(|scope| {
            scope.spawn(|| self.send(rates, RECOVERY));
            let start = Instant::now();
            let mut before = self.established.load(Ordering::Relaxed);
            let window = |at: usize| {
                let end = start + WINDOW * (at as u32 + 1);
                thread::sleep(end.saturating_duration_since(Instant::now()));
                let now = self.established.load(Ordering::Relaxed);
                now - std::mem::replace(&mut before, now)
            };
            (0..windows).map(window).collect()
        });
        // A window begins and ends within a turn of the sender, so it may miss some frames.
        let is_whole = |&arrived: &u64| 100 * arrived >= 95 * per_window;
        let back = arrived.iter().position(is_whole)?;
        Some(WINDOW * (back as u32 + 1))
    }

    fn send(&self, rates: Rates, time: Duration) -> Sent {
        thread::scope(|scope| {
            scope.spawn(|| self.send_between_guests(rates.between_guests, time));
            self.send_at_uplink(rates, time)
        })
    }

    /// Client and strangers, mixed evenly.
    fn send_at_uplink(&self, rates: Rates, time: Duration) -> Sent {
        let flows: Vec<_> = (0..FLOWS).map(|flow| client_frame(flow, TcpFlags::PSH)).collect();
        let mut stranger = strangers_syn();
        let total = rates.established + rates.flood;
        let is_client =
            |at: u64| (at + 1) * rates.established / total != at * rates.established / total;
        let mut sent = Sent::default();
        sent.lost = pace(&self.wires[UPLINK], total, time, |at, send| {
            let (frame, count) = match is_client(at) {
                true => (&flows[at as usize % flows.len()], &mut sent.established),
                false => {
                    make_stranger(&mut stranger, self.made_up.fetch_add(1, Ordering::Relaxed));
                    (&stranger, &mut sent.flood)
                }
            };
            let is_taken = send(frame);
            *count += u64::from(is_taken);
            is_taken
        });
        sent
    }

    fn send_between_guests(&self, rate: u64, time: Duration) {
        let frame = between_guests(SENDER, RECEIVER);
        pace(&self.wires[SENDER], rate, time, |_, send| send(&frame));
    }
}

fn one_more(count: &AtomicU64) {
    count.fetch_add(1, Ordering::Relaxed);
}

/// Calls `frame` for each number that is due at this rate, with what sends; it says whether its
/// frame was taken. Frames that are due wait in a ring while the wire takes none; the result is how
/// many found it full.
fn pace(
    wire: &UnixDatagram,
    rate: u64,
    time: Duration,
    mut frame: impl FnMut(u64, &mut dyn FnMut(&[u8]) -> bool) -> bool,
) -> u64 {
    const PAUSE: Duration = Duration::from_micros(50);
    let start = Instant::now();
    let all = (rate as f64 * time.as_secs_f64()) as u64;
    let (mut at, mut lost) = (0, 0);
    let mut send = |bytes: &[u8]| match wire.send(bytes) {
        Ok(_) => true,
        Err(error) if error.kind() == ErrorKind::WouldBlock => false,
        Err(error) => panic!("QEMU is gone: {error}"),
    };
    // The ring is empty soon after.
    while at < all && start.elapsed() < time + 25 * PATIENCE {
        let due = all.min((rate as f64 * start.elapsed().as_secs_f64()) as u64);
        if due.saturating_sub(at) > RING_FRAMES {
            lost += due - RING_FRAMES - at;
            at = due - RING_FRAMES;
        }
        if at == due {
            thread::sleep(PAUSE);
        } else if frame(at, &mut send) {
            at += 1;
        }
    }
    lost + (all - at)
}
