//! A terminal's screen: what is seen of what it was told to show, and where its cursor is. It knows
//! as much of ECMA-48 as the console uses, wraps like a VT100 and scrolls.

pub struct Screen {
    columns: usize,
    /// The rows that are seen, each with the characters that begin in a column.
    rows: Vec<Vec<String>>,
    row: usize,
    /// As many as there are columns: the next character goes to the next row.
    column: usize,
    /// Rows that have left the screen at its top.
    pub scrolled: Vec<String>,
}

impl Screen {
    pub fn new(rows: usize, columns: usize) -> Screen {
        let rows = vec![vec![" ".to_string(); columns]; rows];
        Screen { columns, rows, row: 0, column: 0, scrolled: Vec::new() }
    }

    pub fn show(&mut self, told: &str) {
        let mut rest = told.chars();
        while let Some(c) = rest.next() {
            match c {
                '\r' => self.column = 0,
                '\n' => self.feed(),
                '\x07' => {}
                '\x1b' => {
                    assert_eq!(rest.next(), Some('['), "{told:?}");
                    let number: String = rest.clone().take_while(char::is_ascii_digit).collect();
                    let end = rest.nth(number.len()).expect("a sequence has an end");
                    self.sequence(end, number.parse().unwrap_or(0));
                }
                _ => self.put(c),
            }
        }
    }

    /// The text of a row.
    pub fn row(&self, at: usize) -> String {
        self.rows[at].concat().trim_end().to_string()
    }

    /// The text of the row with the cursor, and its column.
    pub fn cursor(&self) -> (String, usize) {
        (self.row(self.row), self.column)
    }

    /// All rows down to the one with the cursor.
    pub fn text(&self) -> Vec<String> {
        (0..=self.row).map(|at| self.row(at)).collect()
    }

    fn sequence(&mut self, end: char, number: usize) {
        match (end, number) {
            ('K', 0) => self.rows[self.row][self.column..].fill(" ".to_string()),
            ('C', steps) => self.column = (self.column + steps.max(1)).min(self.columns - 1),
            ('H', 0) => (self.row, self.column) = (0, 0),
            ('J', 2) => self.rows.iter_mut().for_each(|row| row.fill(" ".to_string())),
            other => panic!("not known to this terminal: {other:?}"),
        }
    }

    fn put(&mut self, c: char) {
        let columns = match c {
            '\u{300}'..='\u{36f}' => 0,
            '\u{1100}'.. => 2,
            _ => 1,
        };
        if columns == 0 {
            let before = self.rows[self.row][..self.column].iter_mut().rfind(|it| !it.is_empty());
            return before.expect("a letter comes before its mark").push(c);
        }
        if self.column + columns > self.columns {
            self.column = 0;
            self.feed();
        }
        let row = &mut self.rows[self.row];
        row[self.column] = c.to_string();
        row[self.column + 1..self.column + columns].fill(String::new());
        self.column += columns;
    }

    fn feed(&mut self) {
        self.row += 1;
        if self.row == self.rows.len() {
            self.scrolled.push(self.row(0));
            self.rows.remove(0);
            self.rows.push(vec![" ".to_string(); self.columns]);
            self.row -= 1;
        }
    }
}
