//! A picture: p99 over load and over report period, one panel for each kind of world.

use lb::Scheduler;

use super::chart::{HEIGHT, Panel, WIDTH, legend};
use crate::lab::{Policy, Results};

/// Whose lines are drawn: `wrr` and `wlc` lie on those of `rr` and `lc` where weights are equal.
const DRAWN: [Policy; 8] = [
    Policy::Lb(Scheduler::Rr),
    Policy::LC,
    Policy::Lb(Scheduler::P2c),
    Policy::MH,
    Policy::WLL,
    Policy::Prequal,
    Policy::Orca,
    Policy::Known,
];

const COLUMNS: usize = 3;
const HEAD: f64 = 36.0;
const STYLE: &str = "<style>text{font:11px sans-serif;fill:#333}.title{font-weight:bold}\
                     .x{text-anchor:middle}.y{text-anchor:end}.grid{stroke:#ddd}\
                     .line{fill:none;stroke-linejoin:round}</style>";

/// A panel's title, and the scenario of each of its steps.
type Plan = (String, Vec<(String, String)>);

pub fn picture(results: &Results) -> String {
    let plans = plans();
    let rows = plans.len().div_ceil(COLUMNS);
    let (width, height) = (WIDTH * COLUMNS as f64, HEAD + HEIGHT * rows as f64);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         width=\"{width}\" height=\"{height}\" role=\"img\">\n\
         <title>p99 of answer times by scheduler</title>{STYLE}\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n"
    );
    svg += &legend(&DRAWN, 46.0, HEAD / 2.0);
    for (at, (title, steps)) in plans.iter().enumerate() {
        let (column, row) = ((at % COLUMNS) as f64, (at / COLUMNS) as f64);
        svg += &panel(results, title, steps).draw(column * WIDTH, HEAD + row * HEIGHT);
    }
    svg + "</svg>\n"
}

fn plans() -> Vec<Plan> {
    let loads = |kind: &str, guests: usize, loads: &[u32]| {
        let steps =
            loads.iter().map(|load| (format!("{load} %"), format!("{kind}-{guests}-{load}")));
        steps.collect::<Vec<_>>()
    };
    let grid = [50, 70, 90, 95];
    let mut plans = Vec::new();
    for (kind, what) in [("equal", "equal guests"), ("speeds", "guests 1:2:4")] {
        for guests in [4, 16, 64] {
            plans.push((format!("{guests} {what}, by load"), loads(kind, guests, &grid)));
        }
    }
    let kept = loads("kept-speeds", 8, &grid[..3]);
    plans.push(("8 guests 1:2:4, flows kept open, by load".into(), kept));
    for (what, fresh, kind) in
        [("equal guests", "equal-8-85", ""), ("guests 1:2:4", "speeds-8-85", "-speeds")]
    {
        let mut steps = vec![("0.5 s".into(), fresh.into())];
        for period in ["1s", "2s", "5s", "10s"] {
            let label = period.replace('s', " s");
            steps.push((label, format!("period-{period}{kind}-8-85")));
        }
        steps.push(("none".into(), format!("silent{kind}-8-85")));
        plans.push((format!("8 {what}, load 85 %, by report period"), steps));
    }
    plans
}

fn panel(results: &Results, title: &str, steps: &[(String, String)]) -> Panel {
    let p99 = |policy, name: &str| {
        let at = results.scenario(name)?;
        results.summary(at, policy).map(|summary| summary.median.p99_ms)
    };
    let line = |&policy: &Policy| {
        (policy, steps.iter().map(|(_, name)| p99(policy, name)).collect::<Vec<_>>())
    };
    Panel {
        title: title.into(),
        steps: steps.iter().map(|(label, _)| label.clone()).collect(),
        lines: DRAWN.iter().map(line).filter(|(_, ms)| ms.iter().any(Option::is_some)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::scenario;

    #[test]
    fn every_step_of_every_panel_is_a_scenario() {
        let all = scenario::all();
        for (_, name) in plans().iter().flat_map(|(_, steps)| steps) {
            assert!(all.iter().any(|scenario| scenario.name == *name), "{name}");
        }
    }
}
