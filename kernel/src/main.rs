//! Fulcrum's image: the story of a boot.
//!
//! Bring up the machine, find the NICs, read the configuration, which may say how large a table is
//! to be, divide the memory, build the appliance and configure it; then go round: a turn of the
//! appliance, a visit to the console now and then, a rest when nothing happens.
#![no_std]
#![no_main]

extern crate alloc;

mod image;

use alloc::format;
use alloc::vec::Vec;

use image::{Lines, Machine, NicBus, Nics};
use kernel::appliance::{Appliance, Request, Turn};
use kernel::config::{self, Config};
use kernel::console::Console;
use kernel::control::{self, Control};
use kernel::journal::JOURNAL;
use kernel::machine::pace::{Pace, REST_MAX};
use kernel::machine::sizes::Sizes;
use kernel::shell::problem::Error;
use lb::{Capacity, Dataplane};

boot::entry!(main);

/// The appliance, before it is configured.
struct Built {
    appliance: Appliance,
    control: Control,
    /// What the loader's file says, if there is one.
    start_up: Option<Result<Config, Vec<Error>>>,
    nic_lines: Lines,
}

fn main(start_info: u64) -> ! {
    // SAFETY: the entry calls this once, with what the loader passed.
    let mut machine = unsafe { Machine::start(start_info) };
    machine.crash_if_asked();
    let Built { mut appliance, mut control, start_up, nic_lines } = build(&mut machine);
    let mut console = Console::default();
    JOURNAL.lines().for_each(|line| console.print(&format!("{line}\n")));
    if let Some(start_up) = start_up {
        configure(start_up, &mut control, &mut appliance, &mut console);
    }
    console.greet(&control);
    match run(&mut machine, &mut appliance, &mut control, &mut console, nic_lines) {
        Request::Reboot => image::reboot(),
        Request::PowerOff => image::power_off(),
    }
}

/// Finds the NICs, reads the configuration, divides the memory among what needs it, and builds the
/// appliance.
fn build(machine: &mut Machine) -> Built {
    // SAFETY: once, and nothing else looks at the PCI bus.
    let bus = unsafe { NicBus::scan() };
    let sizes = Sizes::of(machine.heap_bytes, bus.count());
    let pool = drivers::Pool::new(sizes.frames);
    let Nics { attached, lines } = bus.attach(pool);
    let site = control::site(attached.iter(), sizes.flows_fit);
    let start_up = machine.module.map(|file| config::load(file, &site));
    let flows = start_up.as_ref().and_then(|read| read.as_ref().ok()?.flows);
    let capacity = sizes.capacity(flows);
    let dataplane = Dataplane::new(capacity, machine.secret);
    machine.now();
    let (heap_mib, Capacity { flows, macs, .. }) = (machine.heap_bytes >> 20, capacity);
    log::info!("{heap_mib} MiB: {} frames, {flows} flows, {macs} MAC addresses", sizes.frames);
    let mut appliance = Appliance::new(dataplane, pool, attached);
    let control = Control::begin(site, &mut appliance);
    Built { appliance, control, start_up, nic_lines: lines }
}

/// Takes in what the loader handed over. With errors it is refused whole, each of them is told, and
/// the appliance is the plain switch that it is without.
fn configure(
    start_up: Result<Config, Vec<Error>>,
    control: &mut Control,
    appliance: &mut Appliance,
    console: &mut Console,
) {
    let Err(errors) = start_up.and_then(|config| control.start_up(config, appliance)) else {
        let lines = control.config().statements().len();
        log::info!("configuration: the loader's file, {lines} statements");
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
            if let Some(news) = control.tick(appliance) {
                console.tell(&news);
            }
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
