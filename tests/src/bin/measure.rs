//! The figures that the README quotes, measured on this machine: `./tests/measure.sh`.
//!
//! Nothing is asserted. What a loaded machine measures is what that machine does when loaded.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tests::bench::host::cpu_time;
use tests::machine::image_path;
use tests::{Console, Frame, MacAddr, Machine, Raw, Setup};

/// Keys that are pressed, each when the one before it was seen.
const KEYS: usize = 200;

/// How a console feels.
struct Keys {
    median: Duration,
    slowest: Duration,
    frames_a_second: u64,
}

fn main() {
    let size = image_path().metadata().expect("the image is a file").len();
    println!("image size                                    {size} bytes");
    let (median, slowest) = first_frame();
    println!(
        "QEMU's start to the first forwarded frame     {median} ms (median of 5; slowest {slowest} ms)"
    );
    println!(
        "idle CPU, 5 ports                             {:.1} % of a core (10 s)",
        idle_percent()
    );
    let Keys { median, slowest, frames_a_second } = keys_under_traffic();
    println!(
        "a key and its echo, under full traffic        {:.1} ms (median of {KEYS}; slowest {:.1} ms; \
         {frames_a_second} frames/s go through)",
        ms(median),
        ms(slowest)
    );
    println!("smallest memory that boots, 1 port            {} MiB", smallest_memory_mib(1));
    println!("smallest memory that boots, 8 ports           {} MiB", smallest_memory_mib(8));
}

/// From the start of QEMU to the first frame that comes out of another port than it went in, in ms.
fn first_frame() -> (u128, u128) {
    let mut runs: Vec<u128> = (0..5).map(|_| first_frame_once().as_millis()).collect();
    runs.sort_unstable();
    (runs[2], runs[4])
}

fn first_frame_once() -> Duration {
    let start = Instant::now();
    let machine = Machine::start(Setup::default());
    let (from, to) = (machine.station(1), machine.station(2));
    let hello = Frame::Raw(Raw {
        from: from.mac,
        to: MacAddr::BROADCAST,
        ether_type: 0x88b6,
        payload: vec![0; 46],
    });
    let arrived = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Again and again: what comes before the port is up is lost, as on any switch.
        scope.spawn(|| {
            while !arrived.load(Ordering::Relaxed) {
                from.send(hello.clone());
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        to.next("first frame");
        arrived.store(true, Ordering::Relaxed);
    });
    start.elapsed()
}

/// From a key to its echo, while one port sends to another whatever the machine takes.
fn keys_under_traffic() -> Keys {
    let (machine, wires) = Machine::boot_unplugged(Setup { ports: 3, ..Setup::default() });
    let [from, to] = [1, 2].map(|port| MacAddr([2, 0, 0, 0, 0, port]));
    let frame =
        |from, to| Frame::Raw(Raw { from, to, ether_type: 0x88b6, payload: vec![0; 46] }).bytes();
    wires.iter().for_each(|wire| wire.set_read_timeout(Some(Duration::from_millis(50))).unwrap());
    wires[2].send(&frame(to, MacAddr::BROADCAST)).expect("the machine has the other end");
    let (arrived, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let frame = frame(from, to);
            while !is_over.load(Ordering::Relaxed) {
                wires[1].send(&frame).expect("the machine has the other end");
            }
        });
        for wire in &wires {
            scope.spawn(|| {
                let mut buffer = [0; 2048];
                while !is_over.load(Ordering::Relaxed) {
                    let has_come = wire.recv(&mut buffer).is_ok();
                    arrived.fetch_add(has_come.into(), Ordering::Relaxed);
                }
            });
        }
        let console = &machine.console;
        console.press("terminal script off\r");
        console.wait_for("fulcrum> ");
        // The traffic comes up to its speed.
        std::thread::sleep(Duration::from_secs(2));
        let (start, before) = (Instant::now(), arrived.load(Ordering::Relaxed));
        let mut waits: Vec<Duration> = (0..KEYS).map(|_| wait_for_a_key(console)).collect();
        let frames = arrived.load(Ordering::Relaxed) - before;
        let frames_a_second = (frames as f64 / start.elapsed().as_secs_f64()) as u64;
        is_over.store(true, Ordering::Relaxed);
        waits.sort_unstable();
        Keys { median: waits[KEYS / 2], slowest: waits[KEYS - 1], frames_a_second }
    })
}

fn wait_for_a_key(console: &Console) -> Duration {
    let start = Instant::now();
    console.press("x");
    console.wait_for("x");
    let waited = start.elapsed();
    // It is rubbed out again.
    console.press("\x7f");
    console.wait_for("\x1b[K");
    waited
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Share of a core that QEMU uses while nothing happens.
fn idle_percent() -> f64 {
    const WINDOW: Duration = Duration::from_secs(10);
    let machine = Machine::boot(Setup { ports: 5, ..Setup::default() });
    std::thread::sleep(Duration::from_secs(3));
    let before = cpu_time(machine.process_id());
    std::thread::sleep(WINDOW);
    let used = cpu_time(machine.process_id()) - before;
    100.0 * used.as_secs_f64() / WINDOW.as_secs_f64()
}

/// Halves the interval between a memory that is too small and one that is enough.
fn smallest_memory_mib(ports: usize) -> u32 {
    let (mut too_small, mut enough) = (1, 256);
    while enough - too_small > 1 {
        let memory_mib = (too_small + enough) / 2;
        let machine = Machine::start(Setup { ports, memory_mib, ..Setup::default() });
        if machine.console.says_within(Duration::from_secs(5), "fulcrum>") {
            enough = memory_mib;
        } else {
            too_small = memory_mib;
        }
    }
    enough
}
