//! Long tables are cut, say so, and can be read to their end.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::desk::Bench;
use crate::schemas::document;
use crate::worlds::enter;

/// Flows of the crowd, which is more than a table shows.
const FLOWS: usize = 1012;

/// Three guests that serve the web, and more clients than a table has rows.
pub fn crowd() -> Bench {
    let mut bench = enter("# world: three guests that serve the web");
    let before = bench.appliance.dataplane.flows().len();
    (before..FLOWS).for_each(|at| bench.call(50_000 + at as u16));
    assert_eq!(bench.appliance.dataplane.flows().len(), FLOWS);
    bench
}

fn ports(document: &Value) -> Vec<u64> {
    let flows = document["flows"].as_array().unwrap().iter();
    flows.map(|flow| flow["client_port"].as_u64().unwrap()).collect()
}

#[test]
fn a_cut_table_goes_on_where_it_ended() {
    let mut bench = crowd();
    let first = document(&mut bench, "show flow | json");
    assert_eq!((first["shown"].as_u64(), first["of"].as_u64()), (Some(1000), Some(1012)));
    let next = first["next_from"].as_u64().expect("there is more");
    let rest = document(&mut bench, &format!("show flow from {next} | json"));
    assert_eq!((&rest["of"], &rest["next_from"]), (&Value::from(12), &Value::Null));
    let mut seen = BTreeSet::new();
    for page in [&first, &rest] {
        let ports = ports(page);
        assert!(ports.is_sorted(), "by client");
        ports.into_iter().for_each(|port| assert!(seen.insert(port), "{port} twice"));
    }
    assert_eq!(seen.len(), FLOWS);
    let text = bench.type_in(b"show flow\r");
    let told = format!("1000 of 1012 shown.\r\nThe rest: show flow \u{2026} from {next}\r\n");
    assert!(text.contains(&told), "{text}");
}

#[test]
fn what_is_not_shown_is_counted_as_long_as_nobody_filters_it() {
    let mut bench = crowd();
    let of_web2 = ports(&document(&mut bench, "show flow guest web2 | json")).len();
    let cases = [
        ("show flow", FLOWS, true),
        ("show flow service web", FLOWS, true),
        ("show flow guest web2", of_web2, true),
        ("show flow from 1000", 12, true),
        // Rows that are not here could have held the word.
        ("show flow | match tcp", 1000, false),
        ("show flow guest web2 | match tcp", of_web2, true),
    ];
    for (line, count, is_complete) in cases {
        let counted = document(&mut bench, &format!("{line} | count | json"));
        let seen = (&counted["count"], &counted["is_complete"]);
        assert_eq!(seen, (&Value::from(count), &Value::from(is_complete)), "{line}");
    }
    assert!((1..1000).contains(&of_web2), "{of_web2}");
}
