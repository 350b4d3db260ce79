//! One panel of the picture: lines over a few steps, times on a logarithmic scale.

use std::fmt::Write;

use crate::lab::Policy;
use lb::Scheduler;

pub const WIDTH: f64 = 300.0;
pub const HEIGHT: f64 = 220.0;
const LEFT: f64 = 46.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 26.0;
const BOTTOM: f64 = 34.0;
/// What the scale reaches from and to; all panels have the same one.
const LEAST_MS: f64 = 50.0;
const MOST_MS: f64 = 200_000.0;

/// What a panel shows: a line for each who chose, a point for each step.
pub struct Panel {
    pub title: String,
    pub steps: Vec<String>,
    pub lines: Vec<(Policy, Vec<Option<f64>>)>,
}

impl Panel {
    /// Drawn with its upper left corner there.
    pub fn draw(&self, x: f64, y: f64) -> String {
        let mut svg = String::new();
        add(&mut svg, format_args!("<g transform=\"translate({x:.0} {y:.0})\">"));
        add(
            &mut svg,
            format_args!("<text class=\"title\" x=\"{LEFT}\" y=\"16\">{}</text>", self.title),
        );
        for (ms, label) in
            [(100.0, "0.1 s"), (1_000.0, "1 s"), (10_000.0, "10 s"), (100_000.0, "100 s")]
        {
            let (at, right) = (height_of(ms), WIDTH - RIGHT);
            add(
                &mut svg,
                format_args!(
                    "<path class=\"grid\" d=\"M{LEFT} {at:.1}H{right}\"/>\
                 <text class=\"y\" x=\"{:.0}\" y=\"{:.1}\">{label}</text>",
                    LEFT - 5.0,
                    at + 4.0
                ),
            );
        }
        for (step, label) in self.steps.iter().enumerate() {
            let (at, below) = (self.place_of(step), HEIGHT - BOTTOM + 16.0);
            add(
                &mut svg,
                format_args!("<text class=\"x\" x=\"{at:.1}\" y=\"{below}\">{label}</text>"),
            );
        }
        for (policy, values) in &self.lines {
            self.line(&mut svg, *policy, values);
        }
        svg + "</g>\n"
    }

    fn line(&self, svg: &mut String, policy: Policy, values: &[Option<f64>]) {
        let points = values.iter().enumerate();
        let points: Vec<String> = points
            .filter_map(|(step, ms)| {
                Some(format!("{:.1} {:.1}", self.place_of(step), height_of((*ms)?)))
            })
            .collect();
        let (color, width) = (color(policy), if policy == Policy::WLL { 3.0 } else { 1.5 });
        let dashes = if policy == Policy::Known { " stroke-dasharray=\"4 3\"" } else { "" };
        add(
            svg,
            format_args!(
                "<path class=\"line\" stroke=\"{color}\" stroke-width=\"{width}\"{dashes} d=\"M{}\"/>",
                points.join("L")
            ),
        );
    }

    fn place_of(&self, step: usize) -> f64 {
        let between = (WIDTH - LEFT - RIGHT) / self.steps.len() as f64;
        LEFT + between * (step as f64 + 0.5)
    }
}

/// What each line is, in one row.
pub fn legend(policies: &[Policy], x: f64, y: f64) -> String {
    let mut svg = String::new();
    for (at, &policy) in policies.iter().enumerate() {
        let x = x + at as f64 * 100.0;
        let color = color(policy);
        add(
            &mut svg,
            format_args!(
                "<path class=\"line\" stroke=\"{color}\" stroke-width=\"3\" d=\"M{x:.0} {y:.0}h18\"/>\
             <text class=\"name\" x=\"{:.0}\" y=\"{:.0}\">{}</text>",
                x + 24.0,
                y + 4.0,
                policy.as_str()
            ),
        );
    }
    svg
}

fn height_of(ms: f64) -> f64 {
    let part = (ms.clamp(LEAST_MS, MOST_MS) / LEAST_MS).log10() / (MOST_MS / LEAST_MS).log10();
    (HEIGHT - BOTTOM) - part * (HEIGHT - TOP - BOTTOM)
}

/// Colours that are told apart with every kind of eyes (Okabe and Ito).
const fn color(policy: Policy) -> &'static str {
    match policy {
        Policy::Lb(Scheduler::Wll) => "#d55e00",
        Policy::Lb(Scheduler::Lc | Scheduler::Wlc) => "#0072b2",
        Policy::Lb(Scheduler::Rr | Scheduler::Wrr) => "#999999",
        Policy::Lb(Scheduler::P2c) => "#56b4e9",
        Policy::Lb(Scheduler::Mh | Scheduler::Sh | Scheduler::ShPort) => "#e0b000",
        Policy::Prequal => "#009e73",
        Policy::Orca => "#cc79a7",
        Policy::Known => "#000000",
    }
}

fn add(svg: &mut String, what: std::fmt::Arguments<'_>) {
    writeln!(svg, "{what}").expect("memory does not fail");
}
