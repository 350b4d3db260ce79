//! A slip anywhere in a long text: it is found where it is, and nothing of the text is taken.

use crate::desk::Bench;

/// What runs.
const BEFORE: &str = "set guest web1 port p1 mac 52:54:00:01:00:01 address 10.0.0.21\n";

/// F29: a text of five hundred lines, and a slip at every word of it, a hundred at a time: the errors
/// stand where the slips are, nothing else is said, and what runs is what ran.
#[test]
fn f29_a_slip_anywhere_is_found_where_it_is() {
    const SLIP: &str = "%";
    let lines: Vec<String> = (0..100).flat_map(five_lines).collect();
    let mut bench = Bench::new(4);
    bench.configure(BEFORE);
    let words_max = lines.iter().map(|line| line.split(' ').count()).max().unwrap();
    let mut slips = 0;
    for (word, group) in (0..words_max).flat_map(|word| (0..5).map(move |group| (word, group))) {
        let mut expected = Vec::new();
        let mut text = String::new();
        for (at, line) in lines.iter().enumerate() {
            let mut words: Vec<&str> = line.split(' ').collect();
            if at % 5 == group && word < words.len() {
                let column = words[..word].iter().map(|word| word.len() + 1).sum::<usize>() + 1;
                expected.push((Some(at + 1), Some(column)));
                words[word] = SLIP;
            }
            text += &(words.join(" ") + "\n");
        }
        if expected.is_empty() {
            continue;
        }
        slips += expected.len();
        let errors = bench.start_up(&text).unwrap_err();
        // The last of them counts the others.
        let (count, errors) = errors.split_last().unwrap();
        let places: Vec<_> = errors.iter().map(|error| (error.line, error.column)).collect();
        assert_eq!((places, count.line), (expected, None), "{errors:#?}");
        assert_eq!(bench.control.config().to_string(), BEFORE);
    }
    assert_eq!(slips, lines.iter().map(|line| line.split(' ').count()).sum::<usize>());
}

/// Statements of many kinds, about things of this number.
fn five_lines(number: usize) -> [String; 5] {
    [
        format!("set guest g{number} port p1 mac 52:54:00:02:00:{number:02x}"),
        format!("set guest g{number} address 10.1.0.{number} address fd00::{number:x}"),
        format!("set service s{number} vip 10.0.9.{number} tcp 80 vlan 7"),
        format!("set service s{number} persistence source 32 timeout 300s"),
        format!("set service s{number} real g{number} port 8080 weight 100 max-flows 20000"),
    ]
}
