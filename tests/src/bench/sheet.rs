//! Results: for each figure the runs of each system, and what else one should know of them.

use std::collections::BTreeMap;

use super::stats::Runs;
use super::system::System;

/// What a figure is about; the parts of every report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    Instructions,
    Rates,
    Latency,
    Stacks,
    Footprint,
}

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Of the guest.
    Instructions,
    InstructionsPerFrame,
    InstructionsPerSecond,
    FramesPerSecond,
    ConnectionsPerSecond,
    RequestsPerSecond,
    MegabitsPerSecond,
    Microseconds,
    Milliseconds,
    Mebibytes,
    Bytes,
    PercentOfCore,
}

/// Which of two is the better one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    Less,
    More,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figure {
    pub topic: Topic,
    pub what: String,
    pub unit: Unit,
}

pub struct Row {
    pub figure: Figure,
    pub runs: BTreeMap<System, Runs>,
    /// What others than QEMU and harness took of all cores meanwhile, in per cent.
    pub others: Runs,
}

/// Where instructions of one figure were executed: per frame or second, by function, most first.
pub struct Profile {
    pub what: String,
    pub functions: Vec<(String, f64)>,
}

/// Figures in the order in which they were first measured.
#[derive(Default)]
pub struct Sheet {
    pub rows: Vec<Row>,
    pub profiles: Vec<Profile>,
    /// What could not be measured, and why.
    pub failures: Vec<String>,
}

impl Topic {
    pub const ALL: [Topic; 5] =
        [Topic::Instructions, Topic::Rates, Topic::Latency, Topic::Stacks, Topic::Footprint];

    pub const fn title(self) -> &'static str {
        match self {
            Topic::Instructions => "Guest instructions",
            Topic::Rates => "Rates",
            Topic::Latency => "Latency",
            Topic::Stacks => "Real stacks",
            Topic::Footprint => "Start and footprint",
        }
    }
}

impl Unit {
    pub const fn as_str(self) -> &'static str {
        match self {
            Unit::Instructions => "instructions",
            Unit::InstructionsPerFrame => "instructions/frame",
            Unit::InstructionsPerSecond => "instructions/s",
            Unit::FramesPerSecond => "frames/s",
            Unit::ConnectionsPerSecond => "connections/s",
            Unit::RequestsPerSecond => "requests/s",
            Unit::MegabitsPerSecond => "Mbit/s",
            Unit::Microseconds => "µs",
            Unit::Milliseconds => "ms",
            Unit::Mebibytes => "MiB",
            Unit::Bytes => "bytes",
            Unit::PercentOfCore => "% of a core",
        }
    }

    pub const fn better(self) -> Better {
        match self {
            Unit::FramesPerSecond
            | Unit::ConnectionsPerSecond
            | Unit::RequestsPerSecond
            | Unit::MegabitsPerSecond => Better::More,
            Unit::Instructions
            | Unit::InstructionsPerFrame
            | Unit::InstructionsPerSecond
            | Unit::Microseconds
            | Unit::Milliseconds
            | Unit::Mebibytes
            | Unit::Bytes
            | Unit::PercentOfCore => Better::Less,
        }
    }
}

impl Figure {
    pub fn new(topic: Topic, what: impl Into<String>, unit: Unit) -> Figure {
        Figure { topic, what: what.into(), unit }
    }
}

impl Sheet {
    pub fn add(&mut self, figure: &Figure, system: System, value: f64) {
        self.row(figure).runs.entry(system).or_default().add(value);
    }

    /// The same, with what others took of the cores meanwhile.
    pub fn add_among(&mut self, figure: &Figure, system: System, value: f64, others: f64) {
        self.add(figure, system, value);
        self.row(figure).others.add(others);
    }

    pub fn has(&self, figure: &Figure, system: System) -> bool {
        let mut rows = self.rows.iter().filter(|row| row.figure == *figure);
        rows.any(|row| row.runs.contains_key(&system))
    }

    fn row(&mut self, figure: &Figure) -> &mut Row {
        let at = self.rows.iter().position(|row| row.figure == *figure).unwrap_or_else(|| {
            let figure = figure.clone();
            self.rows.push(Row { figure, runs: BTreeMap::new(), others: Runs::default() });
            self.rows.len() - 1
        });
        &mut self.rows[at]
    }

    /// The rows of a topic, and which systems any of them knows.
    pub fn part(&self, topic: Topic) -> (Vec<&Row>, Vec<System>) {
        let rows: Vec<&Row> = self.rows.iter().filter(|row| row.figure.topic == topic).collect();
        let has = |system: &System| rows.iter().any(|row| row.runs.contains_key(system));
        let systems = System::ALL.into_iter().filter(has).collect();
        (rows, systems)
    }
}

impl Row {
    pub fn median(&self, system: System) -> Option<f64> {
        self.runs.get(&system)?.median()
    }

    /// How many times as good as a rival the appliance is, by the medians.
    pub fn ratio(&self, rival: System) -> Option<f64> {
        let (ours, theirs) = (self.median(System::Fulcrum)?, self.median(rival)?);
        let ratio = match self.figure.unit.better() {
            Better::Less => theirs / ours,
            Better::More => ours / theirs,
        };
        ratio.is_finite().then_some(ratio)
    }

    /// Whether a system came so near to what the harness can do that the figure is the harness's.
    pub fn is_bound_by_harness(&self, system: System) -> bool {
        let (Some(value), Some(limit)) = (self.median(system), self.median(System::Harness)) else {
            return false;
        };
        let near = match self.figure.unit.better() {
            Better::More => value >= 0.9 * limit,
            Better::Less => value <= limit / 0.9,
        };
        system != System::Harness && near && limit > 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(unit: Unit, values: &[(System, f64)]) -> Row {
        let mut sheet = Sheet::default();
        let figure = Figure::new(Topic::Rates, "a figure", unit);
        values.iter().for_each(|(system, value)| sheet.add(&figure, *system, *value));
        assert_eq!(sheet.rows.len(), 1);
        sheet.rows.remove(0)
    }

    #[test]
    fn a_ratio_above_one_is_ours() {
        let values = [(System::Fulcrum, 20.0), (System::Linux, 10.0), (System::Testpmd, 0.0)];
        let rates = row(Unit::FramesPerSecond, &values);
        assert_eq!(rates.ratio(System::Linux), Some(2.0));
        assert_eq!(rates.ratio(System::Testpmd), None);
        assert_eq!(rates.ratio(System::Macswap), None);
        assert_eq!(row(Unit::Instructions, &values).ratio(System::Linux), Some(0.5));
    }

    #[test]
    fn who_is_near_the_harness_is_bound_by_it() {
        for (unit, value, bound) in [
            (Unit::FramesPerSecond, 89.0, false),
            (Unit::FramesPerSecond, 90.0, true),
            (Unit::Microseconds, 110.0, true),
            (Unit::Microseconds, 120.0, false),
        ] {
            let row = row(unit, &[(System::Fulcrum, value), (System::Harness, 100.0)]);
            assert_eq!(row.is_bound_by_harness(System::Fulcrum), bound, "{unit:?} {value}");
            assert!(!row.is_bound_by_harness(System::Harness));
        }
    }

    #[test]
    fn a_part_has_its_own_rows_and_systems() {
        let mut sheet = Sheet::default();
        let rate = Figure::new(Topic::Rates, "rate", Unit::FramesPerSecond);
        let size = Figure::new(Topic::Footprint, "size", Unit::Bytes);
        sheet.add(&size, System::Linux, 1.0);
        sheet.add_among(&rate, System::Harness, 2.0, 7.0);
        sheet.add_among(&rate, System::Fulcrum, 3.0, 9.0);
        let (rows, systems) = sheet.part(Topic::Rates);
        assert_eq!((rows.len(), systems), (1, vec![System::Fulcrum, System::Harness]));
        assert_eq!(rows[0].others.median(), Some(8.0));
        assert!(sheet.part(Topic::Latency).0.is_empty());
    }
}
