//! For a program: every run of every figure.

use crate::bench::figures::Surroundings;
use crate::bench::sheet::{Row, Sheet};
use crate::bench::stats::Runs;

pub fn document(sheet: &Sheet, surroundings: &Surroundings) -> String {
    let lines = surroundings.lines().map(|(what, is)| format!("{}:{}", text(what), text(is)));
    let rows: Vec<String> = sheet.rows.iter().map(row).collect();
    let failures: Vec<String> = sheet.failures.iter().map(|failure| text(failure)).collect();
    format!(
        "{{\"schema\":\"benchmark\",\"surroundings\":{{{}}},\n\"figures\":[\n{}\n],\n\"failures\":[{}]}}\n",
        lines.collect::<Vec<_>>().join(","),
        rows.join(",\n"),
        failures.join(",")
    )
}

fn row(row: &Row) -> String {
    let systems =
        row.runs.iter().map(|(system, runs)| format!("{}:{}", text(system.as_str()), list(runs)));
    let figure = &row.figure;
    format!(
        "{{\"topic\":{},\"figure\":{},\"unit\":{},\"runs\":{{{}}},\"others_percent\":{}}}",
        text(figure.topic.title()),
        text(&figure.what),
        text(figure.unit.as_str()),
        systems.collect::<Vec<_>>().join(","),
        list(&row.others)
    )
}

fn list(runs: &Runs) -> String {
    let values: Vec<String> = runs.values().iter().map(|value| format!("{value:.3}")).collect();
    format!("[{}]", values.join(","))
}

/// RFC 8259, 7.
fn text(of: &str) -> String {
    let mut quoted = String::from("\"");
    for character in of.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            control if control < ' ' => quoted += &format!("\\u{:04x}", control as u32),
            other => quoted.push(other),
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::sheet::{Figure, Topic, Unit};
    use crate::bench::system::System;

    #[test]
    fn a_document_has_every_run() {
        let mut sheet = Sheet::default();
        let figure = Figure::new(Topic::Rates, "a \"rate\"", Unit::FramesPerSecond);
        sheet.add_among(&figure, System::Linux, 2.0, 50.0);
        sheet.add(&figure, System::Linux, 1.5);
        sheet.failures.push("a\nb".into());
        let document = document(&sheet, &Surroundings::default());
        assert!(
            document.contains(
                "{\"topic\":\"Rates\",\"figure\":\"a \\\"rate\\\"\",\"unit\":\"frames/s\",\
             \"runs\":{\"linux\":[1.500,2.000]},\"others_percent\":[50.000]}"
            ),
            "{document}"
        );
        assert!(document.ends_with("\"failures\":[\"a\\u000ab\"]}\n"), "{document}");
    }
}
