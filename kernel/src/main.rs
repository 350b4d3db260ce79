//! Fulcrum's image: the story of a boot.
//!
//! Bring up the machine, find the devices, choose the configuration, which may say how large a table is
//! to be, divide the memory, build the appliance and configure it; then go round: a turn of the
//! appliance, a visit to the seats now and then, a rest when nothing happens.
#![no_std]
#![no_main]
#![feature(optimize_attribute)]

extern crate alloc;

mod image;

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;
use core::time::Duration;

use drivers::{Disk, Watchdog};
use image::{Com, DeviceBus, Lines, Machine, Nics, Sockets, Uart, Windows};
use kernel::appliance::{Appliance, Request, TICK, Turn};
use kernel::console::Tty;
use kernel::control::{self, Control};
use kernel::journal::JOURNAL;
use kernel::machine::pace::Pace;
use kernel::machine::sizes::Sizes;
use kernel::machine::start_info::Handover;
use kernel::seats::{Place, Seats};
use kernel::start::{Note, Offer, Start, Started, StartedFrom, offers_of};
use kernel::store::{Commit, Found, Keeper, Trouble};
use lb::{Capacity, Dataplane};

boot::entry!(main);

/// Between two looks at what happens to the machine: at its power button, and at some of the places that
/// a NIC may be plugged into, of which all are seen in a third of a second.
const LOOK_INTERVAL: Duration = Duration::from_millis(40);

/// The appliance, configured.
struct Built {
    appliance: Appliance,
    control: Control,
    sockets: Sockets,
    /// The interrupt lines of consoles and of NICs beside the bus, which end a rest as those of its NICs do.
    lines: Lines,
    virtio_console: Option<Box<dyn Tty>>,
}

/// What the disk has to offer, and what is wrong with it.
struct Kept {
    keeper: Keeper,
    commits: Vec<Commit>,
    notes: Vec<Note>,
}

fn main(start_info: u64, magic: u32) -> ! {
    // SAFETY: the entry calls this once, with what the loader passed.
    let mut machine = unsafe { Machine::start(Handover { address: start_info, magic }) };
    let mut built = build(&mut machine);
    let mut seats = find_seats(&mut built);
    JOURNAL.lines().for_each(|line| seats.print(&format!("{line}\n")));
    tell(built.control.started(), &mut seats);
    seats.greet(&built.control);
    let watchdog = built.sockets.start_watchdog();
    machine.crash_if_asked();
    match run(&mut machine, &mut built, &mut seats, watchdog) {
        Request::Reboot => image::reboot(),
        Request::PowerOff => image::power_off(),
    }
}

/// Finds the devices, chooses the configuration, divides the memory among what needs it, builds the
/// appliance and configures it.
fn build(machine: &mut Machine) -> Built {
    // SAFETY: once, and nothing else looks at the PCI bus.
    let mut bus = unsafe { DeviceBus::scan(machine.plugging.as_ref()) };
    // SAFETY: once, and nothing else looks at these devices.
    let windows = unsafe { Windows::look(&machine.options.windows) };
    let sizes = Sizes::of(machine.heap_bytes, bus.nics_max + windows.count());
    let pool = drivers::Pool::new(sizes.frames);
    let Kept { keeper, commits, notes } = read_disk(bus.disk().or_else(|| windows.disk()), machine);
    let virtio_console = bus.console().or_else(|| windows.console());
    let Nics { mut attached, sockets } = bus.attach(pool);
    let (beside, lines) = windows.attach(pool);
    attached.extend(beside);
    let site = control::site(attached.iter(), sockets.empty(), sizes.flows_fit);
    let start = Start::choose(offers(&commits, machine.module), notes, &site);
    let capacity = sizes.capacity(start.flows());
    let dataplane = Dataplane::new(capacity, machine.secret);
    machine.now();
    let (heap_mib, Capacity { flows, macs, .. }) = (machine.heap_bytes >> 20, capacity);
    log::info!("{heap_mib} MiB: {} frames, {flows} flows, {macs} MAC addresses", sizes.frames);
    let mut appliance = Appliance::new(dataplane, pool, attached);
    appliance.memory = Some(machine.memory());
    let mut control = Control::begin(site.clone(), &mut appliance);
    control.adopt(keeper, &commits, machine.began);
    start.finish(&site, &mut control, &mut appliance);
    Built { appliance, control, sockets, lines, virtio_console }
}

/// Reads the disk, if there is one; waits a second for it at most.
fn read_disk(disk: Option<Result<Box<dyn Disk>, Trouble>>, machine: &mut Machine) -> Kept {
    let (keeper, found) = match disk {
        None => (Keeper::without(None), Ok(Found::default())),
        Some(Err(trouble)) => (Keeper::without(Some(trouble.clone())), Err(trouble)),
        Some(Ok(disk)) => {
            let host = machine.options.host.clone();
            Keeper::open(disk, &host, || machine.now())
        }
    };
    match found {
        Ok(Found { commits, passed }) => {
            let notes = passed.into_iter().map(Note::Slot).collect();
            Kept { keeper, commits, notes }
        }
        Err(trouble) => {
            let notes = Vec::from([Note::Disk(trouble)]);
            Kept { keeper, commits: Vec::new(), notes }
        }
    }
}

/// Every configuration that may be started with, the best first.
fn offers<'a>(commits: &'a [Commit], module: Option<&'a [u8]>) -> Vec<Offer<'a>> {
    let mut offers: Vec<Offer<'a>> = offers_of(commits).collect();
    let module = module.map(Cow::Borrowed);
    let file = image::fw_cfg::configuration().map(Cow::Owned);
    for (from, text) in [(StartedFrom::Loader, module), (StartedFrom::FwCfg, file)] {
        offers.extend(text.map(|text| Offer { from, text }));
    }
    offers
}

/// A seat at every wire that there is.
fn find_seats(built: &mut Built) -> Seats {
    let mut seats = Seats::default();
    for (place, com) in [(Place::Serial1, Com::ONE), (Place::Serial2, Com::TWO)] {
        if let Some(uart) = Uart::find(com) {
            built.lines = built.lines.with(uart.line());
            seats.add(place, Box::new(uart));
        }
    }
    if let Some(console) = built.virtio_console.take() {
        seats.add(Place::Virtio, console);
    }
    seats
}

/// Says which configuration was taken and why no other one, to people and in the log.
fn tell(started: &Started, seats: &mut Seats) {
    for line in started.notes.iter().flat_map(Note::lines) {
        seats.print(&format!("{line}\n"));
        log::error!("{line}");
    }
    seats.print(&format!("{started}\n"));
    log::info!("{started}");
}

/// Goes round until somebody wants the machine to end. Not inlined, so that it is made for speed
/// although nothing else here is.
#[inline(never)]
#[optimize(speed)]
fn run(
    machine: &mut Machine,
    built: &mut Built,
    seats: &mut Seats,
    mut watchdog: Option<Watchdog>,
) -> Request {
    let Built { appliance, control, sockets, lines, .. } = built;
    let mut look_at = machine.now();
    let mut pace = Pace::begin(machine.now());
    loop {
        let now = machine.now();
        let turn = appliance.turn(now);
        if turn == Turn::Busy {
            pace.worked(now);
        }
        if let Some(news) = control.tick(appliance) {
            seats.tell(&news);
        }
        if pace.is_console_due(now) {
            let moved = seats.poll(control, appliance);
            pace.visited_console(now, moved);
            // What was committed is saved first, and the last words go out, unless nobody reads them.
            if let Some(request) = appliance.request
                && !control.is_saving()
                && (seats.waiting() == 0 || !moved)
            {
                return request;
            }
        }
        if now >= look_at {
            look_at = now + LOOK_INTERVAL;
            sockets.look(control, appliance);
            if image::was_button_pressed() {
                log::info!("the power button was pressed");
                appliance.request = Some(Request::PowerOff);
            }
            if let Some(watchdog) = &mut watchdog {
                watchdog.feed();
            }
        }
        let may_rest = pace.may_rest(now) && machine.idle.is_usable();
        if turn == Turn::Idle && !may_rest {
            pace.look_for_frames(|| appliance.is_waiting());
        }
        if may_rest && appliance.arm() {
            // What no interrupt tells of is looked for as often as housekeeping is done.
            let is_awaited = control.is_saving() || seats.is_polled() || seats.waiting() > 0;
            let most = if is_awaited { TICK } else { Duration::MAX };
            let lines = lines.with(sockets.lines());
            machine.idle.wait(lines, appliance.rest().min(pace.rest_max(now)).min(most));
            appliance.disarm();
            pace.woke(machine.now());
        }
    }
}
