//! Guest instructions: for a frame, for the boot, for a second of idleness.
//!
//! They are the machine's own cost, whatever else the host does. A frame's cost depends on how many
//! come at once, and on how long the machine looks in vain before they do, which is the host's doing:
//! with `dgram` few frames come at once, as QEMU's loop has them, with `vhost-user` as many as the
//! harness had time for. So frames are counted in pieces of [`PIECE`], too: the best tenth of those is
//! what a frame costs where frames are waiting.

use std::time::Duration;

use super::super::counts::{Counts, Symbols};
use super::super::frames::{SHORTEST, Template, Traffic};
use super::super::load::{Limit, Pace, Trip};
use super::super::sheet::{Figure, Profile, Sheet, Topic, Unit};
use super::super::stats::percentile;
use super::super::system::{Duty, System};
use super::super::vm::{Setup, Vm};
use super::super::wire::Netdev;
use super::Effort;

/// Frames of a piece.
const PIECE: u64 = 1_000;
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
        let figure = figure("boot to ready", Unit::Instructions);
        enter(sheet, system, effort, &figure, &boot, 1.0);
    }
    vm.settle()?;
    if is_first {
        vm.ends.rest(Duration::from_secs(1))?;
        let before = vm.counts()?;
        vm.ends.rest(IDLE)?;
        let idle = vm.counts()?.since(&before);
        let figure = figure("idle", Unit::InstructionsPerSecond);
        enter(sheet, system, effort, &figure, &idle, IDLE.as_secs_f64());
    }
    for case in cases(setup.netdev, duty) {
        let cost = cost(&mut vm, &case)?;
        let whole = figure(&case.what, Unit::InstructionsPerFrame);
        enter(sheet, system, effort, &whole, &cost.counts, cost.frames as f64);
        if case.window > 1 {
            let what = format!("{}, best tenth", case.what);
            let figure = figure(&what, Unit::InstructionsPerFrame);
            sheet.add(&figure, system, cost.best_tenth as f64 / PIECE as f64);
        }
    }
    Ok(())
}

/// What a load cost.
struct Cost {
    counts: Counts,
    frames: u64,
    /// Instructions that a tenth of all pieces did not exceed.
    best_tenth: u64,
}

fn figure(what: &str, unit: Unit) -> Figure {
    Figure::new(Topic::Instructions, what, unit)
}

/// Instructions of so many frames or seconds, and of the appliance's where they were executed.
fn enter(
    sheet: &mut Sheet,
    system: System,
    effort: &Effort,
    figure: &Figure,
    counts: &Counts,
    of: f64,
) {
    sheet.add(figure, system, counts.total as f64 / of);
    let what = &figure.what;
    let is_told = sheet.profiles.iter().any(|profile| profile.what == *what);
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

fn cost(vm: &mut Vm, case: &Case) -> Result<Cost, String> {
    let template = Template::new(case.traffic, vm.setup.system.vip_mac());
    let pace = Pace::Window(case.window);
    let limit = |frames| Limit { frames, time: LIMIT };
    vm.ends.load(&template, pace, limit(case.warm_up), Trip::OneWay)?;
    let before = vm.counts()?;
    let mut pieces = Pieces::default();
    let Vm { ends, qemu, .. } = vm;
    let counter = qemu.as_ref().and_then(|qemu| qemu.counter.as_ref()).ok_or("nobody counts")?;
    let mut watch = |frames| pieces.look(frames, || counter.total().unwrap_or_default());
    let outcome =
        ends.load_watched(&template, pace, limit(case.frames), Trip::OneWay, &mut watch)?;
    let counts = vm.counts()?.since(&before);
    let (lost, sent) = (outcome.lost(), outcome.sent);
    if lost * 20 > sent || outcome.received == 0 {
        return Err(format!("{}: {lost} of {sent} frames were lost", case.what));
    }
    let best_tenth = percentile(&mut pieces.costs, 10).ok_or("too few frames came")?;
    Ok(Cost { counts, frames: outcome.received, best_tenth })
}

/// Instructions of one piece of a load after the other.
#[derive(Default)]
struct Pieces {
    /// Where the piece that is under way began: frames and instructions.
    began: Option<(u64, u64)>,
    /// For exactly [`PIECE`] frames each.
    costs: Vec<u64>,
}

impl Pieces {
    fn look(&mut self, frames: u64, instructions: impl Fn() -> u64) {
        let Some((first, before)) = self.began else {
            // What comes first has waited for the load to begin.
            if frames > 0 {
                self.began = Some((frames, instructions()));
            }
            return;
        };
        if frames - first >= PIECE {
            let now = instructions();
            self.costs.push((now - before) * PIECE / (frames - first));
            self.began = Some((frames, now));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_is_what_its_frames_cost() {
        let mut pieces = Pieces::default();
        for (frames, instructions) in [
            (0, 5),
            (10, 1_000),
            (500, 9_999),
            (PIECE + 10, 1_000 + 7 * PIECE),
            (3 * PIECE + 10, 1_000 + 7 * PIECE + 6 * PIECE),
        ] {
            pieces.look(frames, || instructions);
        }
        assert_eq!(pieces.costs, [7 * PIECE, 3 * PIECE]);
    }
}
