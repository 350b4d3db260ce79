//! For a terminal: columns under one another.

use super::table::{Table, goals, table};
use crate::bench::figures::Surroundings;
use crate::bench::sheet::{Sheet, Topic};
use crate::bench::system::System;

pub fn report(sheet: &Sheet, surroundings: &Surroundings) -> String {
    let mut text = String::new();
    for (what, is) in surroundings.lines() {
        text += &format!("{what:<10} {is}\n");
    }
    for topic in Topic::ALL {
        if let Some(table) = table(sheet, topic) {
            text += &format!("\n{}: median (range)\n\n{}", topic.title(), aligned(&table));
        }
    }
    let (goals, unknown) = goals(sheet);
    text += &format!("\nGoals, {unknown} of which were not measured\n\n{}", aligned(&goals));
    text += "\n× is how many times as good as that rival; * is bound by the harness, within 10 % of it.\n\n";
    for system in System::ALL {
        text += &format!("{system:<10} {}\n", system.description());
    }
    for failure in &sheet.failures {
        text += &format!("not measured: {failure}\n");
    }
    text
}

/// The dearest functions of every figure whose instructions were told apart.
pub fn profiles(sheet: &Sheet, most: usize) -> String {
    let mut text = String::new();
    for profile in &sheet.profiles {
        text += &format!("\n{}\n", profile.what);
        for (function, count) in profile.functions.iter().take(most) {
            text += &format!("  {:>12} {function}\n", super::number(*count));
        }
    }
    text
}

fn aligned(table: &Table) -> String {
    let width = |column: usize| {
        let rows = std::iter::once(&table.head).chain(&table.rows);
        rows.map(|row| row[column].chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..table.head.len()).map(width).collect();
    let mut text = String::new();
    for row in std::iter::once(&table.head).chain(&table.rows) {
        let cells = row.iter().zip(&widths).enumerate();
        let cells = cells.map(|(column, (cell, &width))| match column {
            0 | 1 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        let line = cells.collect::<Vec<_>>().join("  ");
        text += line.trim_end();
        text += "\n";
    }
    text
}
