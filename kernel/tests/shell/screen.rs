//! What a terminal shows, as far as transcripts go. The tests under QEMU read it, too.

/// Puts on the screen what a terminal was told to show. A carriage return alone begins the
/// drawing of a row anew.
pub fn show(screen: &mut String, told: &str) {
    const ERASE_TO_END: &str = "\x1b[K";
    for c in told.replace("\r\n", "\n").replace(ERASE_TO_END, "").chars() {
        match c {
            '\r' => screen.truncate(screen.rfind('\n').map_or(0, |at| at + 1)),
            '\x07' => {}
            _ => screen.push(c),
        }
    }
}

/// The prompt that stands in the last row, and after which `?` may have left something.
pub fn prompt_of(screen: &str) -> &str {
    let row = screen.rsplit('\n').next().unwrap_or_default();
    row.find(['>', '#']).map_or("", |at| row.get(..at + 2).unwrap_or(row))
}

/// A row without the mark of an edited candidate.
pub fn unmarked(row: &str) -> String {
    row.replacen("(config*)# ", "(config)# ", 1)
}
