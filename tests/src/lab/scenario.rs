//! What is tried: every scenario, as data, and the seeds.
//!
//! Scenarios and the seeds of [`EVALUATION`] stand here before anything is tuned by them. Who tunes
//! uses [`TUNING`], which have nothing in common with them, and reports what the others then say.
//!
//! A guest has [`CORES`] cores. A speed is work done in a second by one of them; speeds are given as
//! ratios and scaled so that the guests' mean is 1. The load is what clients ask for of all that the
//! guests can do, antagonists aside.

use std::fmt;

/// The seeds by which results are reported.
pub const EVALUATION: &[u64] = &[0xf01c, 0xf02c, 0xf03c, 0xf04c, 0xf05c];
/// The seeds for whoever changes a scheduler.
pub const TUNING: &[u64] = &[0x701, 0x702, 0x703, 0x704, 0x705];

/// Of every guest.
pub const CORES: u32 = 2;
/// What a request asks for on average, of a core of speed 1.
pub const WORK_MS: f64 = 20.0;
/// A service that starts is called by few at first: for so long, by a part of those that come later.
/// Who has to learn what guests can do has the time, and is not judged by what it did before.
pub const OPENING_S: u32 = 12;
pub const OPENING: f64 = 0.3;
/// Guests that the scenarios without a grid have.
const SMALL: usize = 8;

#[derive(Clone, Debug)]
pub struct Scenario {
    pub name: String,
    pub trial: Trial,
    pub guests: usize,
    pub load_percent: u32,
    /// In turn over the guests.
    pub speeds: &'static [u32],
    /// Whether the operator has set the speeds as weights.
    pub weights: Weights,
    pub demand: Demand,
    pub reports: Reports,
    /// Of guest 0, in order of time.
    pub fate: &'static [Stroke],
    /// Guest 0 says that it does nothing, whatever it does.
    pub liar: bool,
    /// Time before that of which is reported, and that time.
    pub settle_s: u32,
    pub measure_s: u32,
}

/// What a scenario is to show, and so by which goals it is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trial {
    /// Guests alike, reports fresh, nothing happens.
    Steady,
    /// The same with guests that differ.
    Uneven,
    /// Something happens to a guest, or demand changes.
    Upset,
    /// Another program takes from a guest.
    Antagonist,
    /// Reports that are rare, lost or late.
    Blurred,
    /// No reports at all.
    Silent,
    /// A guest that lies.
    Liar,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weights {
    Equal,
    BySpeed,
}

/// What clients ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// One request a flow, exponential.
    Exponential,
    /// The same, but clients keep their flows open for some seconds, idle: how many are open says
    /// little about what there is to do.
    KeptOpen,
    /// One request a flow; one in ten asks for a hundred times what the others do.
    Bimodal,
    /// Flows of ten seconds that are calm and busy in turn, as different as 1 and 9.
    Sessions,
}

/// How guests report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reports {
    pub voice: Voice,
    pub period_ms: u32,
    pub lost_percent: u32,
    /// Each is late by a time from 0 to this, so they overtake one another.
    pub late_ms: u32,
}

/// What a report says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Voice {
    /// The part of the cores' time that was worked, and what an application knows: requests in
    /// flight, the usual time to answer, requests a second.
    Application,
    /// That part alone.
    Cpu,
    /// The same, raised by the time in which a request waited, as `fulcrum-agent` says it.
    Agent,
}

/// Something that happens to a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stroke {
    pub at_s: u32,
    pub what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Another program takes this part of its cores from now on.
    Hog { percent: u32 },
    /// It is gone: its flows are cut, its link is down.
    Gone,
    /// It is back, with cold caches: a third as fast, and as fast as before after so many seconds.
    Back { cold_s: u32 },
}

const EVEN: &[u32] = &[1];
const UNEVEN: &[u32] = &[1, 2, 4];

const FRESH: Reports =
    Reports { voice: Voice::Application, period_ms: 500, lost_percent: 0, late_ms: 0 };

const ANTAGONIST: &[Stroke] = &[
    Stroke { at_s: 25, what: What::Hog { percent: 60 } },
    Stroke { at_s: 55, what: What::Hog { percent: 0 } },
];

const RESTART: &[Stroke] =
    &[Stroke { at_s: 30, what: What::Gone }, Stroke { at_s: 32, what: What::Back { cold_s: 20 } }];

/// All of them, in the order in which they are reported.
pub fn all() -> Vec<Scenario> {
    let mut all = Vec::new();
    for (kind, trial, speeds) in [("equal", Trial::Steady, EVEN), ("speeds", Trial::Uneven, UNEVEN)]
    {
        for guests in [4, 16, 64] {
            for load in [50, 70, 90, 95] {
                all.push(Scenario { trial, speeds, ..Scenario::new(kind, guests, load) });
            }
        }
    }
    let small = |name: &str, trial, load| Scenario { trial, ..Scenario::new(name, SMALL, load) };
    all.extend([
        small("equal", Trial::Steady, 70),
        small("equal", Trial::Steady, 85),
        Scenario { fate: ANTAGONIST, ..small("antagonist", Trial::Antagonist, 70) },
        Scenario { demand: Demand::Bimodal, ..small("bimodal", Trial::Steady, 70) },
        Scenario { demand: Demand::Bimodal, ..small("bimodal", Trial::Steady, 90) },
        Scenario { demand: Demand::Sessions, ..small("sessions", Trial::Upset, 70) },
        Scenario { fate: RESTART, ..small("restart", Trial::Upset, 70) },
        Scenario { liar: true, ..small("liar", Trial::Liar, 70) },
    ]);
    let kept = |scenario| Scenario { demand: Demand::KeptOpen, ..scenario };
    let uneven = |name: &str, trial, load| Scenario { speeds: UNEVEN, ..small(name, trial, load) };
    all.push(uneven("speeds", Trial::Uneven, 85));
    all.extend([
        kept(small("kept", Trial::Steady, 70)),
        kept(small("kept", Trial::Steady, 90)),
        kept(uneven("kept-speeds", Trial::Uneven, 50)),
        kept(uneven("kept-speeds", Trial::Uneven, 70)),
        kept(uneven("kept-speeds", Trial::Uneven, 90)),
        kept(Scenario { fate: ANTAGONIST, ..small("kept-antagonist", Trial::Antagonist, 70) }),
    ]);
    all.push(Scenario { weights: Weights::BySpeed, ..uneven("weighted", Trial::Uneven, 90) });
    for (name, voice) in [("cpu", Voice::Cpu), ("agent", Voice::Agent)] {
        let reports = Reports { voice, ..FRESH };
        all.push(Scenario { reports, ..uneven(name, Trial::Uneven, 90) });
    }
    let silent = Reports { lost_percent: 100, ..FRESH };
    all.push(Scenario { reports: silent, ..small("silent", Trial::Silent, 85) });
    all.push(Scenario { reports: silent, ..uneven("silent-speeds", Trial::Silent, 85) });
    for (name, reports) in [
        ("period-1s", Reports { period_ms: 1_000, ..FRESH }),
        ("period-2s", Reports { period_ms: 2_000, ..FRESH }),
        ("period-5s", Reports { period_ms: 5_000, ..FRESH }),
        ("period-10s", Reports { period_ms: 10_000, ..FRESH }),
        ("lost-30", Reports { lost_percent: 30, ..FRESH }),
        ("lost-60", Reports { lost_percent: 60, ..FRESH }),
        ("lost-90", Reports { lost_percent: 90, ..FRESH }),
        ("late-1s", Reports { late_ms: 1_000, ..FRESH }),
        ("late-5s", Reports { late_ms: 5_000, ..FRESH }),
    ] {
        all.push(Scenario { reports, ..small(name, Trial::Blurred, 85) });
        all.push(Scenario { reports, ..uneven(&format!("{name}-speeds"), Trial::Blurred, 85) });
    }
    all
}

impl Demand {
    pub const ALL: [Demand; 4] =
        [Demand::Exponential, Demand::KeptOpen, Demand::Bimodal, Demand::Sessions];
}

impl Scenario {
    /// Equal guests that report freshly, to which nothing happens.
    pub fn new(kind: &str, guests: usize, load_percent: u32) -> Scenario {
        // Many guests see as many flows in less time.
        let (settle_s, measure_s) = if guests > 16 { (17, 15) } else { (20, 50) };
        Scenario {
            name: format!("{kind}-{guests}-{load_percent}"),
            trial: Trial::Steady,
            guests,
            load_percent,
            speeds: EVEN,
            weights: Weights::Equal,
            demand: Demand::Exponential,
            reports: FRESH,
            fate: &[],
            liar: false,
            settle_s,
            measure_s,
        }
    }

    /// Speed of a guest's cores; the mean of all guests is 1.
    pub fn speed(&self, guest: usize) -> f64 {
        let of = |guest: usize| f64::from(self.speeds[guest % self.speeds.len()]);
        let all: f64 = (0..self.guests).map(of).sum();
        of(guest) * self.guests as f64 / all
    }

    pub fn weight(&self, guest: usize) -> u16 {
        match self.weights {
            Weights::Equal => 100,
            Weights::BySpeed => 100 * self.speeds[guest % self.speeds.len()] as u16,
        }
    }

    /// Requests in a second.
    pub fn rate(&self) -> f64 {
        let capacity = self.guests as f64 * f64::from(CORES);
        capacity * f64::from(self.load_percent) / 100.0 / (WORK_MS / 1000.0)
    }

    pub fn end_s(&self) -> u32 {
        self.settle_s + self.measure_s
    }
}

/// What there is to know of it beside its name.
impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} guests, load {} %", self.guests, self.load_percent)?;
        if self.speeds.len() > 1 {
            let speeds: Vec<String> = self.speeds.iter().map(u32::to_string).collect();
            write!(f, ", speeds {}", speeds.join(":"))?;
        }
        if self.weights == Weights::BySpeed {
            f.write_str(" set as weights")?;
        }
        match self.demand {
            Demand::Exponential => {}
            Demand::KeptOpen => f.write_str(", flows kept open idly")?,
            Demand::Bimodal => f.write_str(", requests 1:100")?,
            Demand::Sessions => f.write_str(", long flows calm and busy")?,
        }
        for stroke in self.fate {
            match stroke.what {
                What::Hog { percent } => write!(f, ", {percent} % taken from {} s", stroke.at_s)?,
                What::Gone => write!(f, ", one gone at {} s", stroke.at_s)?,
                What::Back { cold_s } => {
                    write!(f, ", back at {} s and cold for {cold_s} s", stroke.at_s)?;
                }
            }
        }
        if self.liar {
            f.write_str(", one says 0 % always")?;
        }
        self.reports.fmt(f)
    }
}

/// How it differs from what is usual.
impl fmt::Display for Reports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.voice {
            Voice::Application => {}
            Voice::Cpu => f.write_str(", reports of cpu alone")?,
            Voice::Agent => f.write_str(", reports as of fulcrum-agent")?,
        }
        if self.period_ms != FRESH.period_ms {
            write!(f, ", a report each {} s", self.period_ms / 1000)?;
        }
        match self.lost_percent {
            0 => {}
            100 => f.write_str(", no reports")?,
            lost => write!(f, ", {lost} % of reports lost")?,
        }
        if self.late_ms > 0 {
            write!(f, ", reports late by 0–{} s", self.late_ms / 1000)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_has_a_name_of_its_own_and_is_one_that_lb_can_hold() {
        let all = all();
        for (at, scenario) in all.iter().enumerate() {
            assert!(all[..at].iter().all(|other| other.name != scenario.name), "{}", scenario.name);
            assert!(scenario.guests <= lb::limits::SERVICE_REALS_MAX);
            let speeds: f64 = (0..scenario.guests).map(|guest| scenario.speed(guest)).sum();
            assert!((speeds / scenario.guests as f64 - 1.0).abs() < 1e-9, "{}", scenario.name);
            assert!(scenario.fate.iter().all(|stroke| stroke.at_s < scenario.end_s()));
        }
    }

    #[test]
    fn who_tunes_has_no_seed_of_the_evaluation() {
        assert!(TUNING.iter().all(|seed| !EVALUATION.contains(seed)));
    }
}
