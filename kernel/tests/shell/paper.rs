//! A terminal with paper: what was printed, and the row that is being printed. The tests under QEMU
//! read it, too.

/// Prints what a terminal was told to show. A carriage return alone begins the
/// drawing of a row anew.
pub fn show(paper: &mut String, told: &str) {
    const ERASE_TO_END: &str = "\x1b[K";
    for c in told.replace("\r\n", "\n").replace(ERASE_TO_END, "").chars() {
        match c {
            '\r' => paper.truncate(paper.rfind('\n').map_or(0, |at| at + 1)),
            '\x07' => {}
            _ => paper.push(c),
        }
    }
}

/// The prompt that stands in the last row, and after which `?` may have left something.
pub fn prompt_of(paper: &str) -> &str {
    let row = paper.rsplit('\n').next().unwrap_or_default();
    row.find(['>', '#']).map_or("", |at| row.get(..at + 2).unwrap_or(row))
}

/// A row without the mark of an edited candidate.
pub fn unmarked(row: &str) -> String {
    row.replacen("(config*)# ", "(config)# ", 1)
}
