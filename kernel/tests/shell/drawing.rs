//! The line that is being typed, as a terminal shows it.

use kernel::shell::editor::Editor;

use crate::screen::Screen;
use crate::walk::Random;

/// An editor at a terminal of 80 columns.
struct Seat {
    editor: Editor,
    screen: Screen,
    line: String,
}

const PROMPT: &str = "fulcrum(config*)# ";

impl Seat {
    fn new() -> Seat {
        let mut seat =
            Seat { editor: Editor::default(), screen: Screen::new(5, 80), line: String::new() };
        let mut out = Vec::new();
        seat.editor.begin(PROMPT.to_string(), &mut out);
        seat.show(&out);
        seat
    }

    fn show(&mut self, out: &[u8]) {
        self.screen.show(std::str::from_utf8(out).expect("the terminal is told text"));
    }

    fn press(&mut self, keys: &str) {
        let mut out = Vec::new();
        keys.bytes().for_each(|byte| drop(self.editor.feed(byte, &mut out)));
        self.show(&out);
    }
}

#[test]
fn the_cursor_is_where_the_next_character_goes() {
    const AFTER_PROMPT: usize = PROMPT.len();
    let cases = [
        ("nothing special", "set x\x1b[D", "set x", 4),
        ("letters of two bytes", "äöü\x1b[D\x1b[D", "äöü", 1),
        ("two columns each", "set 東京 x\x1b[D\x1b[D\x1b[D", "set 東京 x", 6),
        ("erased: two columns", "東京\x7f", "東", 2),
        ("erased in the middle", "東京都\x1b[D\x7f", "東都", 2),
        ("an accent of its own goes with its letter", "u\u{308}x\x1b[D\x1b[D", "u\u{308}x", 0),
        ("and is erased with it", "au\u{308}\x7f", "a", 1),
        ("put in before two columns", "京\x01東", "東京", 2),
        ("Ctrl-W takes a word", "set 東京 大阪\x17", "set 東京", 9),
        ("home", "é京\x1b[H", "é京", 0),
        ("Ctrl-L", "é京\x0c", "é京", 3),
    ];
    for (what, keys, line, column) in cases {
        let mut seat = Seat::new();
        seat.press(keys);
        let row = format!("{PROMPT}{line}").trim_end().to_string();
        assert_eq!(seat.screen.cursor(), (row, AFTER_PROMPT + column), "{what}");
    }
}

#[test]
fn a_line_longer_than_the_row_is_a_window_on_it() {
    let mut seat = Seat::new();
    seat.press(&"0123456789".repeat(9));
    let (row, column) = seat.screen.cursor();
    assert!(row.starts_with(&format!("{PROMPT}<")) && row.ends_with("56789"), "{row}");
    assert_eq!(column, row.len());
    seat.press("\x01");
    let (row, column) = seat.screen.cursor();
    assert_eq!((row.len(), &row[row.len() - 3..], column), (79, "89>", PROMPT.len()));
    // Two columns at the window's edge: it is there whole or not at all.
    seat.press(&format!("\x05\x15{}", "東".repeat(40)));
    for _ in 0..40 {
        seat.press("\x1b[D");
        let (row, column) = seat.screen.cursor();
        assert!(column < 79 && row.chars().count() > PROMPT.len() + 15, "{column}: {row}");
    }
    assert_eq!(seat.screen.row(1), "", "nothing wraps");
    seat.press("\r");
    let whole = format!("{PROMPT}{}", "東".repeat(40));
    assert_eq!(format!("{}{}", seat.screen.row(0), seat.screen.row(1)), whole);
}

#[test]
fn a_line_of_any_length_is_seen_whole_when_it_is_entered() {
    for length in 50..150 {
        let line: String = (0..length).map(|at| char::from(b'a' + at % 26)).collect();
        let mut seat = Seat::new();
        seat.press(&format!("{line}\r"));
        let rows = format!("{}{}{}", seat.screen.row(0), seat.screen.row(1), seat.screen.row(2));
        assert_eq!(rows.trim_end(), format!("{PROMPT}{line}"), "{length}");
    }
}

/// Keys at random: what the shortcuts of drawing have left on the screen is what drawing the row anew
/// would show, on one row.
#[test]
fn a_row_looks_as_if_it_were_drawn_anew() {
    const KEYS: [&str; 16] = [
        "a",
        "set ",
        "é",
        "京",
        "u\u{308}",
        "0123456789",
        "東西南北",
        "\x7f",
        "\x1b[D",
        "\x1b[C",
        "\x1b[D\x1b[D\x1b[D",
        "\x01",
        "\x05",
        "\x17",
        "\x1b[3~",
        "\x0b",
    ];
    let mut random = Random(5);
    for _ in 0..60 {
        let mut seat = Seat::new();
        for _ in 0..80 {
            let key = KEYS[(random.next() % KEYS.len() as u64) as usize];
            seat.press(key);
            seat.line.push_str(key);
            let seen = seat.screen.cursor();
            let mut anew = Vec::new();
            seat.editor.redraw(&mut anew);
            seat.show(&anew);
            assert_eq!(seat.screen.cursor(), seen, "{:?}", seat.line);
            assert!(seen.1 < 80 && seat.screen.text().len() == 1, "{:?}: {seen:?}", seat.line);
        }
    }
}
