//! What a `show` prints: lines, headings apart from rows, and the filters after `|`.
//!
//! Filters work on rows. The heading of a table stays where rows are left, so that `show mac |
//! match p1` can still be read, and `count` counts what a person would count.

use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::grammar::Sieve;
use super::parse::Filter;
use super::value::Value;

/// Lines to print.
#[derive(Default)]
pub struct Page {
    lines: Vec<Line>,
}

struct Line {
    kind: LineKind,
    text: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum LineKind {
    Heading,
    Row,
    /// A remark about the whole, such as how many rows are not shown.
    Note,
}

/// Where a column's text stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Align {
    Left,
    Right,
}

/// Rows under a heading; columns are as wide as they need to be.
pub struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
}

impl Page {
    pub fn row(&mut self, text: impl Into<String>) {
        self.lines.push(Line { kind: LineKind::Row, text: text.into() });
    }

    pub fn note(&mut self, text: impl Into<String>) {
        self.lines.push(Line { kind: LineKind::Note, text: text.into() });
    }

    pub fn heading(&mut self, text: impl Into<String>) {
        self.lines.push(Line { kind: LineKind::Heading, text: text.into() });
    }

    /// A table, or `empty` if it has no row.
    pub fn table(&mut self, table: &Table, empty: &str) {
        if table.rows.is_empty() {
            return self.note(empty);
        }
        let widths = table.widths();
        let titles = table.columns.iter().map(|(title, _)| *title);
        self.heading(table.line(&widths, titles));
        for row in &table.rows {
            self.row(table.line(&widths, row.iter().map(String::as_str)));
        }
    }

    #[must_use]
    pub fn filtered(self, filters: &[Filter]) -> Page {
        filters.iter().fold(self, Page::filter)
    }

    /// The lines, each with its line feed.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for line in &self.lines {
            text.push_str(&line.text);
            text.push('\n');
        }
        text
    }

    fn filter(self, filter: &Filter) -> Page {
        let text = match &filter.operand {
            Some(Value::Text(text)) => text.to_ascii_lowercase(),
            _ => String::new(),
        };
        let count = match filter.operand {
            Some(Value::Lines(lines)) => lines,
            _ => 0,
        };
        let holds = |line: &Line| line.text.to_ascii_lowercase().contains(&text);
        match filter.sieve {
            Sieve::Match => self.keep_rows(holds),
            Sieve::Except => self.keep_rows(|line| !holds(line)),
            Sieve::Begin => {
                let mut begun = false;
                self.keep_rows(|line| {
                    begun |= holds(line);
                    begun
                })
            }
            Sieve::First => {
                let mut left = count;
                self.keep_rows(|_| {
                    let keep = left > 0;
                    left = left.saturating_sub(1);
                    keep
                })
            }
            Sieve::Last => {
                let mut ahead = self.rows().saturating_sub(count);
                self.keep_rows(|_| {
                    let keep = ahead == 0;
                    ahead = ahead.saturating_sub(1);
                    keep
                })
            }
            Sieve::Count => {
                let mut page = Page::default();
                page.row(format!("{}", self.rows()));
                page
            }
        }
    }

    fn rows(&self) -> usize {
        self.lines.iter().filter(|line| line.kind == LineKind::Row).count()
    }

    /// Rows that `keep` takes, and headings of which a row is left.
    fn keep_rows(self, mut keep: impl FnMut(&Line) -> bool) -> Page {
        let mut kept = Page::default();
        let mut headings = VecDeque::new();
        for line in self.lines {
            match line.kind {
                LineKind::Heading => headings.push_back(line),
                LineKind::Note => kept.lines.push(line),
                LineKind::Row if keep(&line) => {
                    kept.lines.extend(headings.pop_back());
                    headings.clear();
                    kept.lines.push(line);
                }
                LineKind::Row => {}
            }
        }
        kept
    }
}

impl Table {
    pub fn new(columns: impl IntoIterator<Item = (&'static str, Align)>) -> Table {
        Table { columns: columns.into_iter().collect(), rows: Vec::new() }
    }

    pub fn push(&mut self, row: impl IntoIterator<Item = String>) {
        self.rows.push(row.into_iter().collect());
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    fn widths(&self) -> Vec<usize> {
        let titles = self.columns.iter().map(|(title, _)| title.chars().count());
        let mut widths: Vec<usize> = titles.collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.chars().count().max(*width);
            }
        }
        widths
    }

    fn line<'a>(&self, widths: &[usize], cells: impl Iterator<Item = &'a str>) -> String {
        let mut line = String::new();
        for (at, ((cell, &width), (_, align))) in cells.zip(widths).zip(&self.columns).enumerate() {
            let gap = if at == 0 { "" } else { "  " };
            match align {
                Align::Left => line.push_str(&format!("{gap}{cell:<width$}")),
                Align::Right => line.push_str(&format!("{gap}{cell:>width$}")),
            }
        }
        line.truncate(line.trim_end().len());
        line
    }
}
