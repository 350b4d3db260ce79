//! What a machine needs before it has done anything: time, memory, bytes on a disk; and what it uses
//! while nothing happens.

use std::thread;
use std::time::{Duration, Instant};

use super::super::frames::{SHORTEST, Template, Traffic};
use super::super::host::{cpu_time, guest_memory_kib};
use super::super::load::{Limit, Pace, Trip};
use super::super::sheet::{Figure, Sheet, Topic, Unit};
use super::super::system::{Duty, Plan, System};
use super::super::vm::{PATIENCE, Setup, Vm};
use super::Effort;

const SMALLEST: &str = "smallest memory that forwards a frame";

/// Of a machine that switches.
pub fn measure(sheet: &mut Sheet, setup: Setup, effort: &Effort) -> Result<(), String> {
    let system = setup.system;
    size(sheet, system)?;
    let (mut vm, took) = first_frame(setup, PATIENCE)?.ok_or("no frame came through")?;
    enter(
        sheet,
        system,
        "QEMU's start to the first forwarded frame",
        Unit::Milliseconds,
        took.as_secs_f64() * 1e3,
    );
    vm.ends.rest(Duration::from_secs(2))?;
    let process = vm.process_id().ok_or("there is no machine")?;
    let before = cpu_time(process);
    let start = Instant::now();
    thread::sleep(effort.idle);
    let used = cpu_time(process) - before;
    let percent = 100.0 * used.as_secs_f64() / start.elapsed().as_secs_f64();
    enter(sheet, system, "CPU while nothing happens", Unit::PercentOfCore, percent);
    drop(vm);
    // The search takes minutes of a machine that starts slowly, and testpmd's is a matter of its huge pages.
    let is_searched = effort.thorough && system != System::Testpmd;
    if is_searched && !sheet.has(&figure(SMALLEST, Unit::Mebibytes), system) {
        // With little memory it may take longer, but not that much.
        let smallest = smallest_memory_mib(setup, took.max(Duration::from_secs(1)) * 5)?;
        enter(sheet, system, SMALLEST, Unit::Mebibytes, f64::from(smallest));
    }
    Ok(())
}

/// Of one that balances: what flows add to its memory.
pub fn measure_memory(sheet: &mut Sheet, setup: Setup, effort: &Effort) -> Result<(), String> {
    let system = setup.system;
    let mut vm = Vm::boot(setup)?;
    let mut touched = Vec::new();
    for (flows, told) in [(1, "1 flow"), (1_000, "1,000 flows"), (100_000, "100,000 flows")] {
        let template = Template::new(Traffic::Flows(flows), system.vip_mac());
        let limit = Limit { frames: u64::from(flows.max(1_000)), time: effort.patience };
        vm.ends.load(&template, Pace::Window(64), limit, Trip::OneWay)?;
        let process = vm.process_id().ok_or("there is no machine")?;
        let kib = guest_memory_kib(process, setup.memory_mib).ok_or("its memory was not found")?;
        let what = format!("memory touched of {} MiB, {told}", setup.memory_mib);
        enter(sheet, system, &what, Unit::Mebibytes, kib as f64 / 1024.0);
        touched.push((flows, kib));
    }
    let [_, (few, less), (many, more)] = touched[..] else {
        return Ok(());
    };
    let each = more.saturating_sub(less) as f64 * 1024.0 / f64::from(many - few);
    enter(sheet, system, "memory touched by each further flow", Unit::Bytes, each);
    Ok(())
}

fn size(sheet: &mut Sheet, system: System) -> Result<(), String> {
    let Plan::Guest(guest) = system.plan(Duty::Switch) else {
        return Ok(());
    };
    let size = guest.size_bytes().map_err(|error| format!("{system}: {error}"))?;
    let figure = figure("image: kernel and initramfs", Unit::Bytes);
    if !sheet.has(&figure, system) {
        sheet.add(&figure, system, size as f64);
    }
    Ok(())
}

/// A fresh machine, and how long it took from QEMU's start to a frame that came out of the other
/// NIC; none if none did. Frames are sent again and again: what comes before a port is up is lost.
fn first_frame(setup: Setup, patience: Duration) -> Result<Option<(Vm, Duration)>, String> {
    const EVERY: Duration = Duration::from_millis(2);
    let start = Instant::now();
    let mut vm = Vm::start(setup)?;
    let template = Template::new(Traffic::Switched { length: SHORTEST }, setup.system.vip_mac());
    while start.elapsed() < patience {
        match vm.ends.try_one(&template, EVERY) {
            Ok(true) => return Ok(Some((vm, start.elapsed()))),
            Ok(false) if !vm.has_ended() => {}
            // A machine that had too little has no wires any more.
            Ok(false) | Err(_) => return Ok(None),
        }
    }
    Ok(None)
}

/// Halves the interval between a memory that is too small and one that is enough.
fn smallest_memory_mib(setup: Setup, patience: Duration) -> Result<u32, String> {
    let (mut too_small, mut enough) = (1, setup.memory_mib);
    // To a hundredth: each trial that fails takes its time.
    while enough - too_small > enough.div_ceil(100) {
        let memory_mib = (too_small + enough) / 2;
        if first_frame(Setup { memory_mib, ..setup }, patience)?.is_some() {
            enough = memory_mib;
        } else {
            too_small = memory_mib;
        }
    }
    Ok(enough)
}

fn figure(what: &str, unit: Unit) -> Figure {
    Figure::new(Topic::Footprint, what, unit)
}

fn enter(sheet: &mut Sheet, system: System, what: &str, unit: Unit, value: f64) {
    sheet.add(&figure(what, unit), system, value);
}
