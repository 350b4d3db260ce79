//! How many frames go through in a second, how many connections, and how long one frame takes.

use super::super::frames::{SHORTEST, Template, Traffic};
use super::super::host::Used;
use super::super::load::{Limit, Outcome, Pace, Trip};
use super::super::sheet::{Figure, Sheet, Topic, Unit};
use super::super::stats::percentile;
use super::super::system::Duty;
use super::super::vm::{Setup, Vm};
use super::Effort;

/// Frames under way when it is about how many go through.
const WINDOW: u64 = 256;
/// Connections under way.
const CALLS: u64 = 32;
/// Halvings of the interval in which the zero-loss rate is searched.
const STEPS: usize = 6;
/// A rate is without loss if it is in one of so many trials: a machine with other things to do now
/// and then stops everybody for longer than a ring lasts.
const TRIALS: usize = 2;

/// All rates of a duty on one fresh machine.
pub fn measure(sheet: &mut Sheet, setup: Setup, effort: &Effort) -> Result<(), String> {
    let vm = &mut Vm::boot(setup)?;
    if setup.duty == Duty::Switch {
        let short = Traffic::Switched { length: SHORTEST };
        let long = Traffic::Switched { length: 1514 };
        let rate = through(sheet, vm, effort, "64 B", short)?;
        through(sheet, vm, effort, "1514 B", long)?;
        zero_loss(sheet, vm, effort, "64 B", short, rate)?;
        echo(sheet, vm, effort, short)?;
        return Ok(());
    }
    through(sheet, vm, effort, "1 flow", Traffic::Flows(1))?;
    let rate = through(sheet, vm, effort, "1,000 flows", Traffic::Flows(1_000))?;
    warm_up(vm, effort, 100_000)?;
    through(sheet, vm, effort, "100,000 flows", Traffic::Flows(100_000))?;
    zero_loss(sheet, vm, effort, "1,000 flows", Traffic::Flows(1_000), rate)?;
    // A Linux machine that routes directly sees nothing of the way back.
    if setup.duty == Duty::Translate {
        echo(sheet, vm, effort, Traffic::Flows(1))?;
        connections(sheet, vm, effort)?;
    }
    Ok(())
}

/// A load in a window: what arrives in a second.
fn through(
    sheet: &mut Sheet,
    vm: &mut Vm,
    effort: &Effort,
    what: &str,
    traffic: Traffic,
) -> Result<f64, String> {
    let (outcome, others) = load(vm, effort, traffic, Pace::Window(WINDOW), Trip::OneWay)?;
    if outcome.received == 0 {
        return Err(format!("{what}: nothing arrived"));
    }
    let figure = named(vm, Topic::Rates, what, Unit::FramesPerSecond);
    sheet.add_among(&figure, vm.setup.system, outcome.rate(), others);
    Ok(outcome.rate())
}

/// Every flow is seen once.
fn warm_up(vm: &mut Vm, effort: &Effort, flows: u32) -> Result<(), String> {
    let template = Template::new(Traffic::Flows(flows), vm.setup.system.vip_mac());
    let limit = Limit { frames: flows.into(), time: effort.patience };
    vm.ends.load(&template, Pace::Window(WINDOW), limit, Trip::OneWay).map(drop)
}

/// The highest rate at which nothing is lost, searched around what goes through in a window.
fn zero_loss(
    sheet: &mut Sheet,
    vm: &mut Vm,
    effort: &Effort,
    what: &str,
    traffic: Traffic,
    through: f64,
) -> Result<(), String> {
    let before = Used::now(vm.process_id());
    let (mut lossless, mut lossy) = (0.0, 1.25 * through);
    for _ in 0..STEPS {
        let rate = (lossless + lossy) / 2.0;
        if is_lossless(vm, effort, traffic, rate)? {
            lossless = rate;
        } else {
            lossy = rate;
        }
    }
    let others = Used::now(vm.process_id()).others_since(before);
    let figure = named(vm, Topic::Rates, &format!("{what}, zero loss"), Unit::FramesPerSecond);
    sheet.add_among(&figure, vm.setup.system, lossless, others);
    Ok(())
}

fn is_lossless(vm: &mut Vm, effort: &Effort, traffic: Traffic, rate: f64) -> Result<bool, String> {
    for _ in 0..TRIALS {
        let (outcome, _) = load(vm, effort, traffic, Pace::Rate(rate), Trip::OneWay)?;
        if outcome.lost() == 0 && outcome.refused == 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// One frame at a time, there and back.
fn echo(sheet: &mut Sheet, vm: &mut Vm, effort: &Effort, traffic: Traffic) -> Result<(), String> {
    let system = vm.setup.system;
    let trip = Trip::Round { reply_mac: system.reply_mac() };
    let (mut outcome, others) = load(vm, effort, traffic, Pace::Window(1), trip)?;
    for percent in [50, 99] {
        let took = percentile(&mut outcome.latencies, percent).ok_or("no echo came back")?;
        let what = format!("echo, window 1, p{percent}");
        let figure = named(vm, Topic::Latency, &what, Unit::Microseconds);
        sheet.add_among(&figure, system, took.as_secs_f64() * 1e6, others);
    }
    Ok(())
}

/// Connections opened and closed again.
fn connections(sheet: &mut Sheet, vm: &mut Vm, effort: &Effort) -> Result<(), String> {
    let system = vm.setup.system;
    let trip = Trip::Connection { reply_mac: system.reply_mac(), vip_mac: system.vip_mac() };
    let (outcome, others) = load(vm, effort, Traffic::Connections, Pace::Window(CALLS), trip)?;
    if outcome.lost() * 20 > outcome.sent {
        return Err(format!("of {} connections {} ended", outcome.sent, outcome.received));
    }
    let figure = named(vm, Topic::Rates, "new TCP connections", Unit::ConnectionsPerSecond);
    sheet.add_among(&figure, system, outcome.rate(), others);
    Ok(())
}

/// A load, and what others took of the cores meanwhile.
fn load(
    vm: &mut Vm,
    effort: &Effort,
    traffic: Traffic,
    pace: Pace,
    trip: Trip,
) -> Result<(Outcome, f64), String> {
    let template = Template::new(traffic, vm.setup.system.vip_mac());
    let limit = Limit { frames: u64::MAX, time: effort.load };
    let before = Used::now(vm.process_id());
    let outcome = vm.ends.load(&template, pace, limit, trip)?;
    Ok((outcome, Used::now(vm.process_id()).others_since(before)))
}

/// Every netdev has figures of its own.
fn named(vm: &Vm, topic: Topic, what: &str, unit: Unit) -> Figure {
    let Setup { netdev, duty, .. } = vm.setup;
    Figure::new(topic, format!("{}: {} {what}", netdev.as_str(), duty.as_str()), unit)
}
