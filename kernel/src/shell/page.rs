//! What a `show` makes: data, printed as text for a person or as one document for a program.
//!
//! A page is made of lines and tables. Each of their [`Cell`]s has words and the members that say
//! the same in JSON, so neither form can fall behind the other. `schema` names a page's members; a
//! member's meaning never changes under the same name (`docs/json.md`).
//!
//! Filters work on rows, before the page is printed. The heading of a table stays where rows are
//! left, so that `show mac | match p1` can still be read, and `count` counts what a person would
//! count. In a document the rows that a filter took away are not there, and neither are the members
//! of the lines that it took.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::cells::{columns, gap};
use super::grammar::Sieve;
use super::json::Object;
use super::parse::Filter;
use super::units::Shown;
use super::value::Value;

/// A page of data.
pub struct Page {
    schema: &'static str,
    parts: Vec<Part>,
    /// Rows that were counted and are not here.
    unshown: usize,
    /// There may be more rows, which nobody counted.
    is_cut_short: bool,
}

enum Part {
    /// A row by itself.
    Line(Cell),
    /// A remark, which no filter takes away; it may be for programs alone.
    Note(Cell),
    Rows(Rows),
    /// Lines that are lines to a program too.
    Texts {
        key: &'static str,
        lines: Vec<String>,
    },
    /// Parts that belong together: an object.
    Section {
        key: &'static str,
        parts: Vec<Part>,
    },
    /// One page's parts after the other's: an array of objects.
    Each {
        key: &'static str,
        items: Vec<Vec<Part>>,
    },
}

/// The rows of a table, each with its line of text.
struct Rows {
    key: &'static str,
    heading: String,
    rows: Vec<Cell>,
}

/// What is said in one place.
pub struct Cell {
    words: String,
    members: Object,
}

/// Where a column's text stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Align {
    Left,
    Right,
}

/// Rows under a heading; columns are as wide as they need to be, and one without words in any row is
/// for programs alone.
pub struct Table {
    /// The member that holds the rows.
    key: &'static str,
    columns: Vec<(&'static str, Align)>,
    rows: Vec<(Vec<String>, Object)>,
}

/// The schema of what `count` says.
const COUNT_SCHEMA: &str = "fulcrum.count/1";

/// A value in its own words, and as the member of this name.
pub fn cell(key: &'static str, value: impl Shown) -> Cell {
    Cell { words: value.words(), members: Object::default().with(key, value) }
}

/// Words; the members that say the same follow.
pub fn words(words: impl Into<String>) -> Cell {
    Cell { words: words.into(), members: Object::default() }
}

impl Cell {
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl Shown) -> Cell {
        self.members.set(key, value);
        self
    }
}

impl Page {
    pub fn new(schema: &'static str) -> Page {
        Page { schema, parts: Vec::new(), unshown: 0, is_cut_short: false }
    }

    /// What goes into another page.
    pub fn part() -> Page {
        Page::new("")
    }

    pub fn row(&mut self, cell: Cell) {
        self.parts.push(Part::Line(cell));
    }

    /// `  name      value`
    pub fn fact(&mut self, name: &str, cell: Cell) {
        let words = format!("  {name:<20}{}", cell.words);
        self.row(Cell { words, ..cell });
    }

    /// A fact where there is one; a program is told that there is none.
    pub fn fact_if(&mut self, name: &str, key: &'static str, value: Option<impl Shown>) {
        match value {
            Some(value) => self.fact(name, cell(key, value)),
            None => self.unsaid(key, None::<&str>),
        }
    }

    pub fn note(&mut self, cell: Cell) {
        self.parts.push(Part::Note(cell));
    }

    /// A member for programs only.
    pub fn unsaid(&mut self, key: &'static str, value: impl Shown) {
        self.mute(cell(key, value));
    }

    /// A cell for programs only.
    pub fn mute(&mut self, cell: Cell) {
        self.note(Cell { words: String::new(), ..cell });
    }

    /// A table, or `empty` if it has no row.
    pub fn table(&mut self, table: Table, empty: &str) {
        if table.rows.is_empty() {
            self.note(words(empty));
        }
        self.parts.push(Part::Rows(table.into_rows()));
    }

    pub fn texts(&mut self, key: &'static str, lines: Vec<String>) {
        self.parts.push(Part::Texts { key, lines });
    }

    pub fn section(&mut self, key: &'static str, inner: Page) {
        self.parts.push(Part::Section { key, parts: inner.parts });
    }

    pub fn each(&mut self, key: &'static str, pages: Vec<Page>) {
        let items = pages.into_iter().map(|page| page.parts).collect();
        self.parts.push(Part::Each { key, items });
    }

    /// Says that so many of all rows are here.
    pub fn cut(&mut self, shown: usize, all: usize) {
        let told = if shown < all { format!("{shown} of {all} shown.") } else { String::new() };
        self.note(words(told).with("shown", shown).with("of", all));
        self.unshown = all.saturating_sub(shown);
    }

    /// Says that there may be rows that nobody counted.
    pub fn cut_short(&mut self) {
        self.is_cut_short = true;
    }

    /// What the filters leave: lines, or a document if that is asked for.
    #[must_use]
    pub fn printed(self, filters: &[Filter]) -> String {
        let is_document = filters.last().is_some_and(|filter| filter.sieve == Sieve::Json);
        let page = filters.iter().fold(self, Page::filter);
        if is_document { page.document() } else { page.text() }
    }

    /// The lines, each with its line feed.
    fn text(&self) -> String {
        let mut text = String::new();
        print(&self.parts, &mut text);
        text
    }

    fn document(&self) -> String {
        let mut document = Object::of_schema(self.schema);
        tell(&self.parts, &mut document);
        document.line()
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
        let holds = |line: &str| line.to_ascii_lowercase().contains(&text);
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
                let mut ahead = rows(&self.parts).saturating_sub(count);
                self.keep_rows(|_| {
                    let keep = ahead == 0;
                    ahead = ahead.saturating_sub(1);
                    keep
                })
            }
            Sieve::Count => self.counted(),
            Sieve::Json | Sieve::NoMore => self,
        }
    }

    fn counted(self) -> Page {
        let mut page = Page::new(COUNT_SCHEMA);
        page.row(cell("count", rows(&self.parts) + self.unshown));
        let remark =
            if self.is_cut_short { "There may be more: not all was looked at." } else { "" };
        page.note(words(remark).with("is_complete", !self.is_cut_short));
        page
    }

    /// Rows that `keep` takes. What is not here cannot be asked, so it is no longer counted.
    fn keep_rows(mut self, mut keep: impl FnMut(&str) -> bool) -> Page {
        retain(&mut self.parts, &mut keep);
        self.is_cut_short |= self.unshown > 0;
        self.unshown = 0;
        self
    }
}

impl Table {
    pub fn new(
        key: &'static str,
        columns: impl IntoIterator<Item = (&'static str, Align)>,
    ) -> Table {
        Table { key, columns: columns.into_iter().collect(), rows: Vec::new() }
    }

    /// Rows of one cell, and no heading.
    pub fn untitled(key: &'static str) -> Table {
        Table::new(key, [("", Align::Left)])
    }

    pub fn push(&mut self, row: impl IntoIterator<Item = Cell>) {
        let mut members = Object::default();
        let cells = row.into_iter().map(|cell| {
            members.take(&cell.members);
            cell.words
        });
        let cells = cells.collect();
        self.rows.push((cells, members));
    }

    fn into_rows(self) -> Rows {
        let widths = self.widths();
        let Table { key, columns, rows } = self;
        let titles = columns.iter().map(|(title, _)| *title);
        let heading = line(&columns, &widths, titles);
        let lines = rows.into_iter().map(|(cells, members)| Cell {
            words: line(&columns, &widths, cells.iter().map(String::as_str)),
            members,
        });
        Rows { key, heading, rows: lines.collect() }
    }

    /// `None` for a column without words.
    fn widths(&self) -> Vec<Option<usize>> {
        let width = |at: usize, title: &str| {
            let cells = self.rows.iter().filter_map(|(row, _)| row.get(at));
            let widest = cells.map(|cell| columns(cell.as_bytes())).max().filter(|&max| max > 0);
            widest.map(|widest| widest.max(columns(title.as_bytes())))
        };
        self.columns.iter().enumerate().map(|(at, (title, _))| width(at, title)).collect()
    }
}

fn line<'a>(
    columns: &[(&str, Align)],
    widths: &[Option<usize>],
    cells: impl Iterator<Item = &'a str>,
) -> String {
    let mut line = String::new();
    for ((cell, &width), (_, align)) in cells.zip(widths).zip(columns) {
        let Some(width) = width else {
            continue;
        };
        line.push_str(if line.is_empty() { "" } else { "  " });
        match align {
            Align::Left => {
                line.push_str(cell);
                line.extend(gap(cell, width));
            }
            Align::Right => {
                line.extend(gap(cell, width));
                line.push_str(cell);
            }
        }
    }
    line.truncate(line.trim_end().len());
    line
}

/// The parts as lines; a heading only where a row is left.
fn print(parts: &[Part], text: &mut String) {
    for part in parts {
        match part {
            Part::Line(cell) => put(text, &cell.words),
            Part::Note(cell) if cell.words.is_empty() => {}
            Part::Note(cell) => put(text, &cell.words),
            Part::Rows(table) if table.rows.is_empty() => {}
            Part::Rows(Rows { heading, rows, .. }) => {
                if !heading.is_empty() {
                    put(text, heading);
                }
                rows.iter().for_each(|row| put(text, &row.words));
            }
            Part::Texts { lines, .. } => lines.iter().for_each(|line| put(text, line)),
            Part::Section { parts, .. } => print(parts, text),
            Part::Each { items, .. } => items.iter().for_each(|parts| print(parts, text)),
        }
    }
}

fn put(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

/// The parts as members of an object.
fn tell(parts: &[Part], object: &mut Object) {
    for part in parts {
        match part {
            Part::Line(cell) | Part::Note(cell) => object.take(&cell.members),
            Part::Rows(Rows { key, rows, .. }) => {
                object.objects(key, rows.iter().map(|row| &row.members));
            }
            Part::Texts { key, lines } => object.set(key, lines),
            Part::Section { key, parts } => object.object(key, &told(parts)),
            Part::Each { key, items } => {
                let items: Vec<Object> = items.iter().map(|parts| told(parts)).collect();
                object.objects(key, items.iter());
            }
        }
    }
}

fn told(parts: &[Part]) -> Object {
    let mut object = Object::default();
    tell(parts, &mut object);
    object
}

fn rows(parts: &[Part]) -> usize {
    let of_part = |part: &Part| match part {
        Part::Line(_) => 1,
        Part::Note(_) => 0,
        Part::Rows(table) => table.rows.len(),
        Part::Texts { lines, .. } => lines.len(),
        Part::Section { parts, .. } => rows(parts),
        Part::Each { items, .. } => items.iter().map(|parts| rows(parts)).sum(),
    };
    parts.iter().map(of_part).sum()
}

fn retain(parts: &mut Vec<Part>, keep: &mut dyn FnMut(&str) -> bool) {
    parts.retain_mut(|part| {
        match part {
            Part::Line(cell) => return keep(&cell.words),
            Part::Note(_) => {}
            Part::Rows(table) => table.rows.retain(|row| keep(&row.words)),
            Part::Texts { lines, .. } => lines.retain(|line| keep(line)),
            Part::Section { parts, .. } => retain(parts, keep),
            Part::Each { items, .. } => items.iter_mut().for_each(|parts| retain(parts, keep)),
        }
        true
    });
}
