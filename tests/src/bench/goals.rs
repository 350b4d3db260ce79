//! What the figures are held against. Goals are data; the rule is that less is better or more is, as
//! the figure's unit has it.

use super::sheet::{Better, Row, Sheet};
use super::system::System;

/// What a figure of the appliance must reach.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Bar {
    /// This number.
    Number(f64),
    /// So many times as good as a rival.
    Times(f64, System),
    /// This part of another figure of its own.
    Part(f64, &'static str),
}

struct Goal {
    figure: String,
    bar: Bar,
}

/// A goal and how it stands.
pub struct Finding {
    pub figure: String,
    pub to_hold: String,
    /// Nothing where it was not measured.
    pub is: Option<Standing>,
}

pub struct Standing {
    pub told: String,
    pub held: bool,
}

pub fn judge(sheet: &Sheet) -> Vec<Finding> {
    goals().iter().map(|goal| goal.judge(sheet)).collect()
}

fn goals() -> Vec<Goal> {
    use Bar::{Number, Part, Times};
    use System::{Linux, Testpmd};
    let mut goals = Vec::new();
    let mut add = |figure: &str, bar| goals.push(Goal { figure: figure.into(), bar });
    add("boot to ready", Number(5e7));
    add("idle", Number(30_000.0));
    for netdev in ["dgram", "vhost-user"] {
        add(&format!("{netdev}: switched 64 B, window 64"), Number(300.0));
        add(&format!("{netdev}: switched 64 B, window 1"), Number(2_000.0));
        for duty in ["nat", "direct"] {
            for flows in ["1 flow", "1,000 flows", "100,000 flows"] {
                add(&format!("{netdev}: {duty} {flows}, window 64"), Number(600.0));
            }
            add(&format!("{netdev}: {duty} 1 flow, window 1"), Number(2_000.0));
        }
    }
    add("vhost-user: switched 64 B", Times(10.0, Linux));
    add("vhost-user: switched 64 B", Times(0.6, Testpmd));
    for duty in ["nat", "direct"] {
        let own = "vhost-user: switched 64 B";
        add(&format!("vhost-user: {duty} 1,000 flows"), Part(0.7, own));
        add(&format!("vhost-user: {duty} 100,000 flows"), Part(0.6, own));
    }
    for (netdev, own) in [("dgram", "dgram: switched 64 B"), ("stream", "stream: switched 64 B")] {
        add(own, Times(0.9, Testpmd));
        add(own, Times(1.5, Linux));
        for duty in ["nat", "direct"] {
            for flows in ["1,000 flows", "100,000 flows"] {
                add(&format!("{netdev}: {duty} {flows}"), Part(0.85, own));
                add(&format!("{netdev}: {duty} {flows}"), Times(4.0, Linux));
            }
        }
        add(&format!("{netdev}: nat new TCP connections"), Times(4.0, Linux));
        for duty in ["switched", "nat"] {
            add(&format!("{netdev}: {duty} echo, window 1, p50"), Times(1.0 / 0.7, Linux));
        }
    }
    add("TCP switched, all offloads", Times(1.0, Linux));
    add("TCP switched, no offloads", Times(4.0, Linux));
    add("QEMU's start to the first forwarded frame", Times(1.0 / 0.3, Linux));
    add("smallest memory that forwards a frame", Number(24.0));
    add("memory touched of 512 MiB, 1,000 flows", Times(1.0 / 0.3, Linux));
    add("memory touched by each further flow", Number(80.0));
    add("image: kernel and initramfs", Number(1_048_576.0));
    goals
}

impl Goal {
    fn judge(&self, sheet: &Sheet) -> Finding {
        let row = |what: &str| sheet.rows.iter().find(|row| row.figure.what == what);
        let own = |what: &str| row(what).and_then(|row| row.median(System::Fulcrum));
        let (to_hold, is) = match self.bar {
            Bar::Number(limit) => {
                let is = row(&self.figure).and_then(|row| reached(row, limit));
                (super::report::number(limit), is)
            }
            Bar::Times(times, rival) => {
                let is = row(&self.figure).and_then(|row| row.ratio(rival));
                (format!("{times:.2} × {rival}"), is.map(|is| standing(is, times)))
            }
            Bar::Part(part, of) => {
                let is = own(&self.figure).zip(own(of)).map(|(is, of)| is / of);
                (format!("{part:.2} of {of}"), is.map(|is| standing(is, part)))
            }
        };
        Finding { figure: self.figure.clone(), to_hold, is }
    }
}

fn reached(row: &Row, limit: f64) -> Option<Standing> {
    let is = row.median(System::Fulcrum)?;
    let held = match row.figure.unit.better() {
        Better::Less => is <= limit,
        Better::More => is >= limit,
    };
    Some(Standing { told: super::report::number(is), held })
}

fn standing(is: f64, at_least: f64) -> Standing {
    Standing { told: format!("{is:.2}"), held: is >= at_least }
}

impl Finding {
    pub fn verdict(&self) -> &'static str {
        match &self.is {
            Some(Standing { held: true, .. }) => "held",
            Some(Standing { held: false, .. }) => "missed",
            None => "not measured",
        }
    }

    pub fn told(&self) -> &str {
        self.is.as_ref().map_or("–", |standing| &standing.told)
    }
}

#[cfg(test)]
mod tests {
    use super::super::sheet::{Figure, Topic, Unit};
    use super::*;

    #[test]
    fn figures_are_held_against_their_goals() {
        let mut sheet = Sheet::default();
        let mut add = |what: &str, unit, system, value| {
            sheet.add(&Figure::new(Topic::Rates, what, unit), system, value);
        };
        let [ours, theirs] = [System::Fulcrum, System::Linux];
        add("idle", Unit::InstructionsPerSecond, ours, 30_001.0);
        add("boot to ready", Unit::Instructions, ours, 1e6);
        add("dgram: switched 64 B", Unit::FramesPerSecond, ours, 100.0);
        add("dgram: switched 64 B", Unit::FramesPerSecond, theirs, 50.0);
        add("dgram: nat 1,000 flows", Unit::FramesPerSecond, ours, 84.0);
        let found = judge(&sheet);
        let found = found.iter().filter(|of| of.is.is_some());
        let found = found.map(|of| (of.figure.as_str(), of.told(), of.verdict()));
        let expected = [
            ("boot to ready", "1,000,000", "held"),
            ("idle", "30,001", "missed"),
            ("dgram: switched 64 B", "2.00", "held"),
            ("dgram: nat 1,000 flows", "0.84", "missed"),
        ];
        assert_eq!(found.collect::<Vec<_>>(), expected);
        let unknown = judge(&Sheet::default());
        assert!(unknown.iter().all(|of| (of.told(), of.verdict()) == ("–", "not measured")));
    }
}
