//! What is measured: one story a file. Each boots the machine that it needs and writes what it finds
//! into the sheet.

mod footprint;
mod instructions;
mod rates;
mod stacks;

use std::time::Duration;

use super::counts::Symbols;
use super::sheet::Sheet;
use super::system::{Duty, System};
use super::vm::Setup;
use super::wire::Netdev;

/// How much is done for the figures.
pub struct Effort {
    pub rounds: usize,
    /// How long a load goes on.
    pub load: Duration,
    /// What bounds a load whose frames are counted.
    pub patience: Duration,
    /// How long a machine is watched while nothing happens.
    pub idle: Duration,
    /// Whether the smallest memory is searched, and what resembles another job is a job too.
    pub thorough: bool,
    /// Where functions of the appliance lie, if they are to be told apart.
    pub symbols: Option<Symbols>,
}

impl Effort {
    /// For figures that are to be believed, on a quiet machine.
    pub fn full() -> Effort {
        Effort {
            rounds: 3,
            load: Duration::from_secs(1),
            patience: Duration::from_secs(60),
            idle: Duration::from_secs(10),
            thorough: true,
            symbols: None,
        }
    }

    /// For whoever wants to see that it works.
    pub fn quick() -> Effort {
        Effort {
            rounds: 1,
            load: Duration::from_millis(500),
            idle: Duration::from_secs(3),
            thorough: false,
            ..Effort::full()
        }
    }
}

/// Something that is measured in each round, of one system after the other.
pub struct Job {
    pub name: String,
    pub systems: Vec<System>,
    duty: Duty,
    netdev: Netdev,
    measure: fn(&mut Sheet, Setup, &Effort) -> Result<(), String>,
}

impl Job {
    /// On a fresh machine. What it could not measure it tells the sheet.
    pub fn run(&self, sheet: &mut Sheet, system: System, effort: &Effort) {
        let setup = Setup::new(system, self.duty, self.netdev);
        if let Err(failure) = (self.measure)(sheet, setup, effort) {
            sheet.failures.push(format!("{}, {system}: {failure}", self.name));
        }
    }
}

/// All there is, or what is different enough.
pub fn jobs(effort: &Effort) -> Vec<Job> {
    let mut jobs = Vec::new();
    let counted = [Netdev::Dgram, Netdev::VhostUser];
    for netdev in counted.into_iter().take(if effort.thorough { 2 } else { 1 }) {
        for duty in Duty::ALL {
            jobs.push(Job {
                name: format!("instructions {} {}", netdev.as_str(), duty.as_str()),
                systems: vec![System::Fulcrum, System::Linux],
                duty,
                netdev,
                measure: instructions::measure,
            });
        }
    }
    let timed = [Netdev::Dgram, Netdev::VhostUser, Netdev::Stream];
    for netdev in timed.into_iter().take(if effort.thorough { 3 } else { 2 }) {
        for duty in Duty::ALL {
            jobs.push(Job {
                name: format!("{} {}", netdev.as_str(), duty.as_str()),
                systems: System::ALL
                    .into_iter()
                    .filter(|system| system.does(duty) && system.has(netdev))
                    .collect(),
                duty,
                netdev,
                measure: rates::measure,
            });
        }
    }
    type Measure = fn(&mut Sheet, Setup, &Effort) -> Result<(), String>;
    let machines = [System::Fulcrum, System::Linux, System::Testpmd];
    for (name, duty, measure) in [
        ("stacks nat", Duty::Translate, stacks::http as Measure),
        ("stacks direct", Duty::DirectBothWays, stacks::http),
        ("stacks switched", Duty::Switch, stacks::bulk),
        ("footprint", Duty::Switch, footprint::measure),
        ("memory", Duty::Translate, footprint::measure_memory),
    ] {
        jobs.push(Job {
            name: name.into(),
            systems: machines.into_iter().filter(|system| system.does(duty)).collect(),
            duty,
            netdev: Netdev::Dgram,
            measure,
        });
    }
    jobs
}

/// On what it was measured.
#[derive(Default)]
pub struct Surroundings(Vec<(&'static str, String)>);

impl Surroundings {
    /// The host's, and how much was done.
    pub fn of(effort: &Effort, tree: String) -> Surroundings {
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load = load.split(' ').next().unwrap_or("?").to_string();
        let [qemu, kernel] = [("qemu-system-x86_64", "--version"), ("uname", "-sr")].map(said);
        Surroundings(vec![
            ("tree", tree),
            ("host", format!("{cores} × {}, {kernel}, load average {load} before", processor())),
            (
                "QEMU",
                format!("{qemu}, software emulation (TCG), machine `pc`, processor `max`, 1 core"),
            ),
            ("machines", format!("{} MiB, two virtio NICs on PCI", Setup::MEMORY_MIB)),
            ("runs", format!("{} rounds, {} s a load", effort.rounds, effort.load.as_secs_f64())),
        ])
    }

    pub fn lines(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(what, is)| (*what, is.as_str()))
    }
}

fn processor() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name"));
    model.and_then(|line| line.split(": ").nth(1)).unwrap_or("a processor").to_string()
}

/// The first line of what a program says.
fn said((program, word): (&str, &str)) -> String {
    let output = std::process::Command::new(program).arg(word).output();
    let said = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    said.unwrap_or_default().lines().next().unwrap_or("?").to_string()
}
