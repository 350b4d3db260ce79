//! A picture: for each figure a line on a logarithmic scale, and on it a dot for each system and a
//! bar over the range of its runs. A panel for each unit of a topic.

use std::fmt::Write;

use crate::bench::sheet::{Better, Row, Sheet, Topic, Unit};
use crate::bench::system::System;

const WIDTH: f64 = 900.0;
/// Where the scale begins: before it are the figures' names.
const LEFT: f64 = 330.0;
const RIGHT: f64 = 24.0;
const LINE: f64 = 20.0;
const HEAD: f64 = 36.0;
const TITLE: f64 = 40.0;
const FOOT: f64 = 26.0;
const STYLE: &str = "<style>text{font:11px sans-serif;fill:#333}.title{font-weight:bold}\
                     .x{text-anchor:middle}.y{text-anchor:end}.grid{stroke:#ddd}\
                     .range{stroke-width:3;stroke-opacity:.35}</style>";

/// A scale from one power of ten to another.
struct Scale {
    from: i32,
    to: i32,
}

pub fn picture(sheet: &Sheet) -> String {
    let panels = panels(sheet);
    let height: f64 = HEAD + panels.iter().map(|(_, rows)| height_of(rows)).sum::<f64>();
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         width=\"{WIDTH}\" height=\"{height}\" role=\"img\">\n\
         <title>Figures by system, medians and ranges</title>{STYLE}\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#fff\"/>\n"
    );
    svg += &legend(sheet);
    let mut top = HEAD;
    for (title, rows) in &panels {
        svg += &panel(title, rows, top);
        top += height_of(rows);
    }
    svg + "</svg>\n"
}

fn panels(sheet: &Sheet) -> Vec<(String, Vec<&Row>)> {
    let mut panels: Vec<(Topic, Unit, Vec<&Row>)> = Vec::new();
    for topic in Topic::ALL {
        for row in sheet.part(topic).0 {
            let unit = row.figure.unit;
            match panels.iter_mut().find(|panel| (panel.0, panel.1) == (topic, unit)) {
                Some((_, _, rows)) => rows.push(row),
                None => panels.push((topic, unit, vec![row])),
            }
        }
    }
    let titled = |(topic, unit, rows): (Topic, Unit, Vec<_>)| {
        let better = match unit.better() {
            Better::Less => "left",
            Better::More => "right",
        };
        (format!("{}: {}, better to the {better}", topic.title(), unit.as_str()), rows)
    };
    panels.into_iter().map(titled).collect()
}

fn height_of(rows: &[&Row]) -> f64 {
    TITLE + LINE * rows.len() as f64 + FOOT
}

fn panel(title: &str, rows: &[&Row], top: f64) -> String {
    let all = rows.iter().flat_map(|row| row.runs.values());
    let scale = Scale::over(all.flat_map(|runs| [runs.least(), runs.most()]).flatten());
    let (first, bottom) = (top + TITLE, top + TITLE + LINE * rows.len() as f64);
    let mut svg = String::new();
    add(
        &mut svg,
        format_args!("<text class=\"title\" x=\"12\" y=\"{:.0}\">{title}</text>", top + 22.0),
    );
    for (power, at) in scale.steps() {
        let label = label(power);
        add(
            &mut svg,
            format_args!(
                "<path class=\"grid\" d=\"M{at:.1} {:.0}V{bottom:.0}\"/>\
                 <text class=\"x\" x=\"{at:.1}\" y=\"{:.0}\">{label}</text>",
                first - 4.0,
                bottom + 14.0
            ),
        );
    }
    for (at, row) in rows.iter().enumerate() {
        let y = first + LINE * (at as f64 + 0.5);
        let what = &row.figure.what;
        add(
            &mut svg,
            format_args!(
                "<text class=\"y\" x=\"{:.0}\" y=\"{:.0}\">{what}</text>\
                 <path class=\"grid\" d=\"M{LEFT:.0} {y:.0}H{:.0}\"/>",
                LEFT - 10.0,
                y + 4.0,
                WIDTH - RIGHT
            ),
        );
        svg += &dots(row, &scale, y);
    }
    svg
}

fn dots(row: &Row, scale: &Scale, y: f64) -> String {
    let mut svg = String::new();
    for (system, runs) in &row.runs {
        let (Some(least), Some(median), Some(most)) = (runs.least(), runs.median(), runs.most())
        else {
            continue;
        };
        let [least, median, most] = [least, median, most].map(|value| scale.place_of(value));
        let (color, radius) = (color(*system), if *system == System::Fulcrum { 5.0 } else { 4.0 });
        add(
            &mut svg,
            format_args!(
                "<path class=\"range\" stroke=\"{color}\" d=\"M{least:.1} {y:.0}H{most:.1}\"/>\
                 <circle cx=\"{median:.1}\" cy=\"{y:.0}\" r=\"{radius}\" fill=\"{color}\"/>"
            ),
        );
    }
    svg
}

/// What each colour is, in one row.
fn legend(sheet: &Sheet) -> String {
    let has = |system: &System| sheet.rows.iter().any(|row| row.runs.contains_key(system));
    let mut svg = String::new();
    for (at, system) in System::ALL.into_iter().filter(has).enumerate() {
        let (x, y) = (LEFT + 90.0 * at as f64, HEAD / 2.0);
        let color = color(system);
        add(
            &mut svg,
            format_args!(
                "<circle cx=\"{x:.0}\" cy=\"{y:.0}\" r=\"5\" fill=\"{color}\"/>\
                 <text x=\"{:.0}\" y=\"{:.0}\">{system}</text>",
                x + 10.0,
                y + 4.0
            ),
        );
    }
    svg
}

impl Scale {
    /// From the power of ten below all values to the one above; nothing is drawn of zeros.
    fn over(values: impl Iterator<Item = f64>) -> Scale {
        let powers: Vec<f64> = values.filter(|value| *value > 0.0).map(f64::log10).collect();
        let from = powers.iter().copied().fold(f64::MAX, f64::min).floor();
        let to = powers.iter().copied().fold(f64::MIN, f64::max).ceil();
        if powers.is_empty() {
            return Scale { from: 0, to: 1 };
        }
        Scale { from: from as i32, to: (to as i32).max(from as i32 + 1) }
    }

    fn place_of(&self, value: f64) -> f64 {
        let (from, to) = (f64::from(self.from), f64::from(self.to));
        let part = (value.max(1e-9).log10().clamp(from, to) - from) / (to - from);
        LEFT + part * (WIDTH - LEFT - RIGHT)
    }

    fn steps(&self) -> impl Iterator<Item = (i32, f64)> {
        (self.from..=self.to).map(|power| (power, self.place_of(10_f64.powi(power))))
    }
}

fn label(power: i32) -> String {
    match power {
        ..0 => format!("{:.*}", -power as usize, 10_f64.powi(power)),
        0..3 => format!("{}", 10_u32.pow(power as u32)),
        3..6 => format!("{} k", 10_u32.pow(power as u32 - 3)),
        6..9 => format!("{} M", 10_u32.pow(power as u32 - 6)),
        _ => format!("1e{power}"),
    }
}

/// Colours that are told apart with every kind of eyes (Okabe and Ito).
const fn color(system: System) -> &'static str {
    match system {
        System::Fulcrum => "#d55e00",
        System::Linux => "#0072b2",
        System::Testpmd => "#009e73",
        System::Macswap => "#56b4e9",
        System::Hub => "#e0b000",
        System::Harness => "#999999",
    }
}

fn add(svg: &mut String, what: std::fmt::Arguments<'_>) {
    writeln!(svg, "{what}").expect("memory does not fail");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::sheet::Figure;

    #[test]
    fn a_scale_has_place_for_all() {
        let scale = Scale::over([0.0, 30.0, 4_000.0].into_iter());
        assert_eq!((scale.from, scale.to), (1, 4));
        assert_eq!((scale.place_of(10.0), scale.place_of(10_000.0)), (LEFT, WIDTH - RIGHT));
        assert_eq!(scale.place_of(0.0), LEFT);
        let labels: Vec<String> = scale.steps().map(|(power, _)| label(power)).collect();
        assert_eq!(labels, ["10", "100", "1 k", "10 k"]);
        assert_eq!((label(-2), label(7)), ("0.01".into(), "10 M".into()));
        let none = Scale::over(std::iter::empty());
        assert_eq!((none.from, none.to), (0, 1));
    }

    #[test]
    fn units_have_panels_of_their_own() {
        let mut sheet = Sheet::default();
        for (what, unit) in [("a", Unit::Bytes), ("b", Unit::Mebibytes), ("c", Unit::Bytes)] {
            sheet.add(&Figure::new(Topic::Footprint, what, unit), System::Linux, 5.0);
        }
        let panels = panels(&sheet);
        let sizes: Vec<usize> = panels.iter().map(|(_, rows)| rows.len()).collect();
        assert_eq!(sizes, [2, 1]);
        assert_eq!(picture(&sheet).matches("<circle").count(), 3 + 1);
    }
}
