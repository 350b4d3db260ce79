//! Fulcrum's image: the story of a boot.
//!
//! Bring up the machine, find the NICs, divide the memory, build the appliance, take in its
//! configuration; then go round: a turn of the appliance, a visit to the console now and then, a
//! rest when nothing happens.
#![no_std]
#![no_main]

extern crate alloc;

mod image;

use alloc::format;

use image::{Lines, Machine, NicBus, Nics};
use kernel::appliance::{Appliance, Request, Turn};
use kernel::console::Console;
use kernel::control::Control;
use kernel::journal::JOURNAL;
use kernel::machine::pace::{Pace, REST_MAX};
use kernel::machine::sizes::Sizes;
use lb::{Capacity, Dataplane};

boot::entry!(main);

fn main(start_info: u64) -> ! {
    // SAFETY: the entry calls this once, with what the loader passed.
    let mut machine = unsafe { Machine::start(start_info) };
    machine.crash_if_asked();
    let (mut appliance, nic_lines) = build(&mut machine);
    let mut control = Control::begin(&mut appliance);
    let mut console = Console::default();
    JOURNAL.lines().for_each(|line| console.print(&format!("{line}\n")));
    configure(machine.module, &mut control, &mut appliance, &mut console);
    console.greet(&control);
    match run(&mut machine, &mut appliance, &mut control, &mut console, nic_lines) {
        Request::Reboot => image::reboot(),
        Request::PowerOff => image::power_off(),
    }
}

/// Finds the NICs, divides the memory among what needs it, and builds the appliance.
fn build(machine: &mut Machine) -> (Appliance, Lines) {
    // SAFETY: once, and nothing else looks at the PCI bus.
    let bus = unsafe { NicBus::scan() };
    let Sizes { frames, capacity } = Sizes::of(machine.heap_bytes, bus.count());
    let pool = drivers::Pool::new(frames);
    let Nics { attached, lines } = bus.attach(pool);
    let dataplane = Dataplane::new(capacity, machine.secret);
    machine.now();
    let (heap_mib, Capacity { flows, macs }) = (machine.heap_bytes >> 20, capacity);
    log::info!("{heap_mib} MiB: {frames} frames, {flows} flows, {macs} MAC addresses");
    (Appliance::new(dataplane, pool, attached), lines)
}

/// Takes in what the loader handed over. With errors it is refused whole, each of them is told, and
/// the appliance is the plain switch that it is without.
fn configure(
    file: Option<&[u8]>,
    control: &mut Control,
    appliance: &mut Appliance,
    console: &mut Console,
) {
    let Some(file) = file else { return };
    let Err(errors) = control.start_up(file, appliance) else {
        log::info!("configuration: the loader's file, {} bytes", file.len());
        return;
    };
    console.print("The loader's configuration is refused; this is a plain switch:\n");
    for error in errors {
        console.print(&format!("{error}\n"));
        log::error!("{error}");
    }
}

/// Goes round until somebody wants the machine to end.
fn run(
    machine: &mut Machine,
    appliance: &mut Appliance,
    control: &mut Control,
    console: &mut Console,
    nic_lines: Lines,
) -> Request {
    let mut pace = Pace::begin(machine.now());
    loop {
        let now = machine.now();
        if appliance.turn(now) == Turn::Busy {
            pace.worked(now);
        }
        if pace.is_console_due(now) {
            console.poll(&mut machine.uart, control, appliance);
            let moved = machine.uart.has_moved();
            pace.visited_console(now, moved);
            // The last words go out first, unless nobody reads them.
            if let Some(request) = appliance.request
                && (console.waiting() == 0 || !moved)
            {
                return request;
            }
        }
        if pace.may_rest(now) && machine.idle.is_usable() && appliance.arm() {
            machine.idle.wait(nic_lines.with(Lines::UART), REST_MAX);
            appliance.disarm();
            pace.woke(machine.now());
        }
    }
}
