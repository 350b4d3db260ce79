//! Guest instructions: for a frame, for the boot, for a second of idleness.
//!
//! They are the machine's own cost, whatever else the host does. A frame's cost depends on how many
//! come at once, and on how long the machine looks in vain before they do: with `vhost-user` a whole
//! window comes at once, with `dgram` a few frames do, as QEMU's loop has them.

use std::time::Duration;

use super::super::counts::{Counts, Symbols};
use super::super::frames::{SHORTEST, Template, Traffic};
use super::super::load::{Limit, Pace, Trip};
use super::super::sheet::{Figure, Profile, Sheet, Topic, Unit};
use super::super::system::{Duty, System};
use super::super::vm::{Setup, Vm};
use super::super::wire::Netdev;
use super::Effort;

const IDLE: Duration = Duration::from_secs(4);
const LIMIT: Duration = Duration::from_secs(60);

/// A load whose instructions are counted.
struct Case {
    what: String,
    traffic: Traffic,
    window: u64,
    /// Frames before it is counted, and then.
    warm_up: u64,
    frames: u64,
}

/// All loads of a duty on one fresh machine.
pub fn measure(sheet: &mut Sheet, setup: Setup, effort: &Effort) -> Result<(), String> {
    let Setup { system, duty, .. } = setup;
    let mut vm = Vm::start(Setup { counts: true, ..setup })?;
    vm.await_ready()?;
    let is_first = duty == Duty::Switch && setup.netdev == Netdev::Dgram;
    if is_first {
        let boot = vm.counts()?;
        enter(sheet, system, effort, "boot to ready", &boot, 1.0);
    }
    vm.settle()?;
    if is_first {
        vm.ends.rest(Duration::from_secs(1))?;
        let before = vm.counts()?;
        vm.ends.rest(IDLE)?;
        let idle = vm.counts()?.since(&before);
        enter(sheet, system, effort, "idle, a second", &idle, IDLE.as_secs_f64());
    }
    for case in cases(setup.netdev, duty) {
        let (counts, frames) = cost(&mut vm, &case)?;
        enter(sheet, system, effort, &case.what, &counts, frames as f64);
    }
    Ok(())
}

/// Instructions of so many frames or seconds, and of the appliance's where they were executed.
fn enter(sheet: &mut Sheet, system: System, effort: &Effort, what: &str, counts: &Counts, of: f64) {
    let figure = Figure::new(Topic::Instructions, what, Unit::Instructions);
    sheet.add(&figure, system, counts.total() as f64 / of);
    let is_told = sheet.profiles.iter().any(|profile| profile.what == what);
    if let (System::Fulcrum, Some(symbols), false) = (system, &effort.symbols, is_told) {
        sheet.profiles.push(profile(what, counts, symbols, of));
    }
}

fn profile(what: &str, counts: &Counts, symbols: &Symbols, of: f64) -> Profile {
    let functions = counts.by_function(symbols).into_iter();
    let functions = functions.map(|(name, count)| (name, count as f64 / of));
    Profile { what: what.into(), functions: functions.collect() }
}

fn cases(netdev: Netdev, duty: Duty) -> Vec<Case> {
    let case = |what: &str, traffic, window, warm_up, frames| Case {
        what: format!("{}: {} {what}, window {window}", netdev.as_str(), duty.as_str()),
        traffic,
        window,
        warm_up,
        frames,
    };
    if duty == Duty::Switch {
        let short = Traffic::Switched { length: SHORTEST };
        let long = Traffic::Switched { length: 1514 };
        return vec![
            case("64 B", short, 64, 2_000, 40_000),
            case("1514 B", long, 64, 2_000, 20_000),
            case("64 B", short, 1, 500, 5_000),
        ];
    }
    vec![
        case("1 flow", Traffic::Flows(1), 64, 2_000, 30_000),
        case("1 flow", Traffic::Flows(1), 1, 500, 5_000),
        case("1,000 flows", Traffic::Flows(1_000), 64, 5_000, 30_000),
        // Up to the hundredth thousand none was there before, and then all were.
        case("new flows", Traffic::Flows(100_000), 64, 1_000, 99_000),
        case("100,000 flows", Traffic::Flows(100_000), 64, 100_000, 100_000),
    ]
}

/// What a load cost, and how many frames of it arrived.
fn cost(vm: &mut Vm, case: &Case) -> Result<(Counts, u64), String> {
    let template = Template::new(case.traffic, vm.setup.system.vip_mac());
    let load = |vm: &mut Vm, frames| {
        let limit = Limit { frames, time: LIMIT };
        vm.ends.load(&template, Pace::Window(case.window), limit, Trip::OneWay)
    };
    load(vm, case.warm_up)?;
    let before = vm.counts()?;
    let outcome = load(vm, case.frames)?;
    let counts = vm.counts()?.since(&before);
    let (lost, sent) = (outcome.lost(), outcome.sent);
    if lost * 20 > sent || outcome.received == 0 {
        return Err(format!("{}: {lost} of {sent} frames were lost", case.what));
    }
    Ok((counts, outcome.received))
}
