//! The table of a topic as words, from which a terminal's and a page's are made.

use crate::bench::goals::{Finding, judge};
use crate::bench::sheet::{Row, Sheet, Topic};
use crate::bench::stats::Runs;
use crate::bench::system::System;

/// Whom the appliance is compared with in a column of its own.
const RIVALS: [System; 2] = [System::Linux, System::Testpmd];

pub struct Table {
    pub head: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

/// None where nothing was measured.
pub fn table(sheet: &Sheet, topic: Topic) -> Option<Table> {
    let (rows, systems) = sheet.part(topic);
    let rivals: Vec<System> = RIVALS.into_iter().filter(|rival| systems.contains(rival)).collect();
    let has_others = rows.iter().any(|row| !row.others.is_empty());
    let mut head = vec!["figure".into(), "unit".into()];
    head.extend(systems.iter().map(|system| system.to_string()));
    head.extend(rivals.iter().map(|rival| format!("× {rival}")));
    head.extend(has_others.then(|| "others' CPU".into()));
    let cells = |row: &&Row| {
        let mut cells = vec![row.figure.what.clone(), row.figure.unit.as_str().into()];
        cells.extend(systems.iter().map(|system| cell(row, *system)));
        cells.extend(rivals.iter().map(|rival| row.ratio(*rival).map_or(none(), ratio)));
        let others = row.others.median().map_or(none(), |percent| format!("{percent:.0} %"));
        cells.extend(has_others.then_some(others));
        cells
    };
    (!rows.is_empty()).then(|| Table { head, rows: rows.iter().map(cells).collect() })
}

/// What was measured of the goals; and of how many figures nothing is known.
pub fn goals(sheet: &Sheet) -> (Table, usize) {
    let all = judge(sheet);
    let known: Vec<&Finding> = all.iter().filter(|finding| finding.is.is_some()).collect();
    let row = |finding: &&Finding| {
        let (is, verdict) = (finding.told().to_string(), finding.verdict().to_string());
        vec![finding.figure.clone(), verdict, is, finding.to_hold.clone()]
    };
    let head = ["goal", "", "is", "to hold"].map(String::from).to_vec();
    let rows = known.iter().map(row).collect();
    (Table { head, rows }, all.len() - known.len())
}

/// The median, and from where to where its runs reach if there were several.
fn cell(row: &Row, system: System) -> String {
    let mark = if row.is_bound_by_harness(system) { "*" } else { "" };
    row.runs.get(&system).and_then(|runs| told(runs, mark)).unwrap_or_else(none)
}

fn told(runs: &Runs, mark: &str) -> Option<String> {
    let (least, median, most) = (runs.least()?, runs.median()?, runs.most()?);
    Some(if least == most {
        format!("{}{mark}", number(median))
    } else {
        format!("{}{mark} ({}–{})", number(median), number(least), number(most))
    })
}

/// Three digits that count, and all before the point.
pub fn number(value: f64) -> String {
    let decimals = match value.abs() {
        100.0.. => 0,
        10.0.. => 1,
        _ => 2,
    };
    let digits = format!("{value:.decimals$}");
    let (whole, fraction) = digits.split_at(digits.find('.').unwrap_or(digits.len()));
    let mut told = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at) % 3 == 0 && !told.ends_with('-') {
            told.push(',');
        }
        told.push(digit);
    }
    told + fraction
}

fn ratio(value: f64) -> String {
    number(value)
}

fn none() -> String {
    "–".into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::sheet::{Figure, Unit};

    #[test]
    fn numbers_are_short() {
        for (value, told) in [
            (0.0, "0.00"),
            (1.234, "1.23"),
            (99.95, "100.0"),
            (100.4, "100"),
            (1234.5, "1,234"),
            (1_234_567.0, "1,234,567"),
            (-1234.0, "-1,234"),
        ] {
            assert_eq!(number(value), told);
        }
    }

    #[test]
    fn a_table_has_a_column_for_whom_there_are_figures() {
        let mut sheet = Sheet::default();
        let rate = Figure::new(Topic::Rates, "a rate", Unit::FramesPerSecond);
        for (system, value) in [
            (System::Fulcrum, 95.0),
            (System::Linux, 40.0),
            (System::Linux, 50.0),
            (System::Harness, 100.0),
        ] {
            sheet.add_among(&rate, system, value, 3.0);
        }
        let table = table(&sheet, Topic::Rates).expect("there is a figure");
        assert_eq!(
            table.head,
            ["figure", "unit", "fulcrum", "linux", "harness", "× linux", "others' CPU"]
        );
        assert_eq!(
            table.rows,
            [["a rate", "frames/s", "95.0*", "45.0 (40.0–50.0)", "100", "2.11", "3 %"]]
        );
        assert!(super::table(&sheet, Topic::Stacks).is_none());
    }
}
