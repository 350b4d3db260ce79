//! Every row of `docs/hostile.md` has a test that names it: by its id in a comment or description
//! (`P20`), or at the beginning of a test's name (`p20_…`).

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Ids in the first column of the tables.
fn rows() -> Vec<String> {
    let page = fs::read_to_string(root().join("docs/hostile.md")).unwrap();
    let first = |line: &str| Some(line.strip_prefix("| ")?.split(' ').next()?.to_string());
    let is_id = |word: &String| {
        let number = word.strip_prefix(['P', 'D', 'C', 'F', 'L']);
        number.is_some_and(|number| number.parse::<u8>().is_ok())
    };
    page.lines().filter_map(first).filter(is_id).collect()
}

/// Words of the sources in which tests stand, in capitals.
fn words() -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    let mut folders: Vec<_> =
        ["lb/src", "lb/tests", "drivers/src", "kernel/src", "kernel/tests", "tests"]
            .map(|folder| root().join(folder))
            .into();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let is_source = path.extension().is_some_and(|kind| kind == "rs" || kind == "sh");
            if is_source && !path.ends_with("rows.rs") {
                let text = fs::read_to_string(path).unwrap();
                words.extend(text.split(|c: char| !c.is_alphanumeric()).map(str::to_uppercase));
            }
        }
    }
    words
}

#[test]
fn every_row_has_a_test_that_names_it() {
    let (rows, words) = (rows(), words());
    assert!(rows.len() > 70, "the page is read: {rows:?}");
    let missing: Vec<_> = rows.iter().filter(|id| !words.contains(*id)).collect();
    assert!(missing.is_empty(), "no test names {missing:?}");
}
