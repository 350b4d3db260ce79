//! For the page `docs/performance.md`: its results are written anew between two marks, and what
//! people wrote around them stays.

use super::table::{Table, goals, table};
use crate::bench::figures::Surroundings;
use crate::bench::sheet::{Profile, Sheet, Topic};
use crate::bench::system::System;

const BEGIN: &str = "<!-- results: written by tests/bench.sh -->\n";
const END: &str = "<!-- end of results -->\n";

/// Functions of a profile; the others are one line.
const FUNCTIONS: usize = 12;

/// The page with these results.
pub fn renewed(page: &str, sheet: &Sheet, surroundings: &Surroundings) -> String {
    let before = page.split(BEGIN).next().unwrap_or_default();
    let after = page.split(END).nth(1).unwrap_or_default();
    format!("{before}{BEGIN}\n{}{END}{after}", results(sheet, surroundings))
}

fn results(sheet: &Sheet, surroundings: &Surroundings) -> String {
    let lines = surroundings.lines();
    let mut text = lines.map(|(what, is)| format!("- {what}: {is}\n")).collect::<String>();
    text += "\nMedians, and the range of all runs. × is how many times as good as that rival; * is \
             bound by the harness: within 10 % of what it does without any machine. Others' CPU is \
             what neither QEMU nor the harness took of all cores.\n";
    for topic in Topic::ALL {
        let Some(table) = table(sheet, topic) else {
            continue;
        };
        text += &format!("\n### {}\n\n{}", topic.title(), lines_of(&table));
    }
    let (goals, unknown) = goals(sheet);
    text += &format!("\n### Goals\n\n{}", lines_of(&goals));
    if unknown > 0 {
        text += &format!("\n{unknown} goals were not measured.\n");
    }
    if !sheet.profiles.is_empty() {
        text += "\n### Where the appliance's instructions are\n\n";
        text += &sheet.profiles.iter().map(profile).collect::<String>();
    }
    text += "\n### Who is compared\n\n";
    for system in System::ALL {
        text += &format!("- `{system}`: {}\n", system.description());
    }
    for failure in &sheet.failures {
        text += &format!("\nNot measured: {}\n", failure.lines().next().unwrap_or_default());
    }
    text + "\n"
}

fn lines_of(table: &Table) -> String {
    let columns = "--:|".repeat(table.head.len() - 2);
    let mut text = format!("| {} |\n|---|---|{columns}\n", table.head.join(" | "));
    text.extend(table.rows.iter().map(|row| format!("| {} |\n", row.join(" | "))));
    text
}

fn profile(profile: &Profile) -> String {
    let (named, rest) = profile.functions.split_at(FUNCTIONS.min(profile.functions.len()));
    let all: f64 = profile.functions.iter().map(|(_, count)| count).sum();
    let rest: f64 = rest.iter().map(|(_, count)| count).sum();
    let what = &profile.what;
    let mut text = format!(
        "<details><summary>{what}: {}</summary>\n\n| function | instructions |\n|---|--:|\n",
        super::number(all)
    );
    for (function, count) in named {
        text += &format!("| `{function}` | {} |\n", super::number(*count));
    }
    text + &format!("| others | {} |\n\n</details>\n", super::number(rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::sheet::{Figure, Unit};

    #[test]
    fn what_people_wrote_stays() {
        let mut sheet = Sheet::default();
        let figure = Figure::new(Topic::Footprint, "size", Unit::Bytes);
        sheet.add(&figure, System::Fulcrum, 1234.0);
        sheet.profiles.push(Profile { what: "boot".into(), functions: vec![("f".into(), 7.0)] });
        let surroundings = Surroundings::default();
        let page = format!("# Title\n\n{BEGIN}outdated\n{END}\nThe end.\n");
        let new = renewed(&page, &sheet, &surroundings);
        assert!(new.starts_with("# Title\n") && new.ends_with("\nThe end.\n"), "{new}");
        assert!(!new.contains("outdated"));
        assert!(new.contains("| size | bytes | 1,234 |\n"), "{new}");
        assert!(new.contains("| `f` | 7.00 |\n"), "{new}");
        assert_eq!(renewed(&new, &sheet, &surroundings), new);
    }
}
