//! Requests of a program: every form, whatever is wrong with one, and one line that answers each.

use kernel::console::Console;
use kernel::seats::Place;
use kernel::shell::request::REQUEST_BYTES_MAX;
use serde_json::{Value, json};

use crate::desk::Bench;
use crate::walk::Random;

/// An appliance with a program at its console.
fn bench() -> Bench {
    let mut bench = Bench::new(4);
    bench.console = Console::at(Place::Serial2);
    bench
}

/// What one line is answered: one line of printable ASCII.
fn ask(bench: &mut Bench, line: &[u8]) -> Value {
    let answer = bench.type_in(&[line, b"\n"].concat());
    let shown = String::from_utf8_lossy(&line[..line.len().min(200)]);
    let reply = answer.strip_suffix("\r\n").unwrap_or_else(|| panic!("{shown}: {answer}"));
    assert!(reply.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{shown}: {answer}");
    let reply: Value =
        serde_json::from_str(reply).unwrap_or_else(|error| panic!("{shown}: {error}: {answer}"));
    assert_eq!(reply["schema"], "fulcrum.reply/1", "{shown}");
    assert_eq!(reply["ok"] == false, reply.get("errors").is_some(), "{shown}: {answer}");
    reply
}

/// The command of a request, and what it says if it is obeyed.
fn output(bench: &mut Bench, command: &str) -> String {
    let reply = ask(bench, json!({ "id": 1, "command": command }).to_string().as_bytes());
    assert_eq!((&reply["id"], &reply["ok"]), (&json!(1), &json!(true)), "{command}: {reply}");
    reply["output"].as_str().unwrap_or_else(|| panic!("{command}: {reply}")).to_string()
}

/// The one error of a request: code, line, column, message.
fn refusal(bench: &mut Bench, line: &[u8]) -> (String, Value, Value, String) {
    let reply = ask(bench, line);
    let errors = reply["errors"].as_array().unwrap_or_else(|| panic!("{line:?}: {reply}"));
    let error = &errors[0];
    let text = |name: &str| error[name].as_str().unwrap().to_string();
    (text("code"), error["line"].clone(), error["column"].clone(), text("message"))
}

#[test]
fn each_kind_of_command_has_its_answer() {
    let mut bench = bench();
    let version = ask(&mut bench, br#"{"id": 7, "command": "show port | first 1"}"#);
    assert_eq!((&version["id"], &version["ok"]), (&json!(7), &json!(true)));
    assert_eq!(version["document"]["schema"], "fulcrum.show.ports/1");
    assert_eq!(version["document"]["ports"].as_array().unwrap().len(), 1);
    assert_eq!(version.get("output"), None);
    let again = ask(&mut bench, br#"{"id": 7, "command": "show port | first 1 | json"}"#);
    assert_eq!(again, version, "| json changes nothing");

    assert_eq!(output(&mut bench, "configure"), "");
    assert_eq!(output(&mut bench, "set guest g1 port p1 mac 52:54:00:01:00:01"), "");
    assert_eq!(output(&mut bench, "# nothing"), "");
    let candidate = ask(&mut bench, br#"{"command": "show"}"#);
    assert_eq!(candidate["id"], Value::Null);
    assert_eq!(
        candidate["document"]["statements"][0], "set guest g1 port p1 mac 52:54:00:01:00:01",
        "{candidate}"
    );
    assert!(output(&mut bench, "commit").starts_with("Generation 1 runs"));
    assert_eq!(bench.control.config().guests.len(), 1);
    let compared = ask(&mut bench, br#"{"command": "compare"}"#);
    assert_eq!(compared["document"]["differences"], json!([]));
    assert_eq!(output(&mut bench, "exit"), "");
    assert!(output(&mut bench, "help").starts_with("Two modes."));
}

#[test]
fn a_text_is_loaded_whole_or_not_at_all() {
    let mut bench = bench();
    output(&mut bench, "configure");
    let guests: String = (0..100)
        .map(|n| format!("set guest g{n} port p1 mac 52:54:00:01:00:{n:02x}\r\n"))
        .collect();
    let text = format!("\u{feff}# \u{e4}, and a \"quote\"\n{guests}\n");
    let request = json!({ "command": "load replace", "text": text, "id": "a\u{1f600}\"" });
    let reply = ask(&mut bench, request.to_string().as_bytes());
    assert_eq!((&reply["id"], &reply["ok"]), (&json!("a\u{1f600}\""), &json!(true)));
    assert_eq!(reply["output"], "102 lines loaded into the candidate.\n");
    assert_eq!(bench.control.candidate().guests.len(), 100);

    let before = bench.control.candidate().clone();
    let wrong = json!({ "command": "load merge", "text": "set system hostname x\nset\u{0}\nend" });
    let reply = ask(&mut bench, wrong.to_string().as_bytes());
    let places: Vec<_> =
        reply["errors"].as_array().unwrap().iter().map(|e| (&e["code"], &e["line"])).collect();
    assert_eq!(
        places,
        [(&json!("E107"), &json!(2)), (&json!("E101"), &json!(3)), (&json!("E202"), &Value::Null)]
    );
    assert_eq!((reply["output"].as_str(), &reply["ok"]), (Some(""), &json!(false)));
    let merge = json!({ "command": "load merge", "text": "set system hostname edge" });
    assert_eq!(ask(&mut bench, merge.to_string().as_bytes())["ok"], true);
    assert_eq!(bench.control.candidate().guests, before.guests);
    assert_eq!(bench.control.candidate().hostname, Some("edge".parse().unwrap()));
    assert_eq!(ask(&mut bench, br#"{"command":"load replace","text":""}"#)["ok"], true);
    assert_eq!(bench.control.candidate().statements().len(), 0);
}

/// What is said while a job runs is in its one answer; Ctrl-C ends it like any other.
#[test]
fn a_job_answers_when_it_ends() {
    let mut bench = bench();
    let all = output(&mut bench, "show tech-support");
    assert!(all.starts_with("===== show version =====\n") && all.contains("===== show log"));
    let file = output(&mut bench, "capture port p1 for 1s");
    assert!(file.starts_with("-----BEGIN PCAP-----\n"), "{file}");
    assert!(file.ends_with("# 0 frames: 0 received, 0 sent\n"), "{file}");
    bench.tty.keys.extend(b"{\"command\":\"monitor port\"}\n");
    (0..300).for_each(|_| bench.turn_and_poll());
    assert!(bench.console.is_busy());
    let answer = bench.type_in(b"\x03");
    let reply: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(reply["ok"], true);
    assert!(reply["output"].as_str().unwrap().matches("--- up ").count() >= 3);
    assert_eq!(bench.type_in(b"show port | count\n"), "4\r\n% OK\r\n", "the seat is as before");
}

#[test]
fn what_is_wrong_is_said_with_its_column_and_nothing_is_done() {
    let cases: [(&[u8], &str, u64, &str); 34] = [
        (b"{", "E112", 2, "a member's name, in quotes is expected"),
        (b"{}", "E112", 2, "a member's name, in quotes is expected"),
        (b"{]", "E112", 2, "a member's name, in quotes is expected"),
        (b"{\"command\"}", "E112", 11, "':' is expected"),
        (b"{\"command\":}", "E112", 12, "a command, in quotes is expected"),
        (b"{\"command\":[\"reboot\"]}", "E112", 12, "a command, in quotes is expected"),
        (b"{\"command\":null}", "E112", 12, "a command, in quotes is expected"),
        (b"{\"command\":\"reboot", "E112", 19, "'\"' is expected"),
        (b"{\"command\":\"reboot\"", "E112", 20, "',' or '}' is expected"),
        (b"{\"command\":\"reboot\",}", "E112", 21, "a member's name, in quotes is expected"),
        (b"{\"command\":\"reboot\"} x", "E112", 22, "the end of the line is expected"),
        (b"{\"command\":\"reboot\"}{}", "E112", 21, "the end of the line is expected"),
        (b"{'command':'reboot'}", "E112", 2, "a member's name, in quotes is expected"),
        (b"{\"id\":1}", "E112", 8, "it has no member \"command\""),
        (b"{\"id\":01,\"command\":\"reboot\"}", "E112", 8, "',' or '}' is expected"),
        (b"{\"id\":-,\"command\":\"reboot\"}", "E112", 8, "a number, or a string in quotes"),
        (b"{\"id\":1.,\"command\":\"reboot\"}", "E112", 9, "a digit is expected"),
        (b"{\"id\":1e+,\"command\":\"reboot\"}", "E112", 10, "a digit is expected"),
        (b"{\"id\":true,\"command\":\"reboot\"}", "E112", 7, "a number, or a string in quotes"),
        (b"{\"id\":{},\"command\":\"reboot\"}", "E112", 7, "a number, or a string in quotes"),
        (b"{\"comand\":\"reboot\"}", "E101", 2, "Did you mean 'command'?"),
        (b"{\"xyz\":1}", "E101", 2, "Expected: command id text"),
        (b"{\"id\":1,\"id\":2,\"command\":\"reboot\"}", "E109", 9, "was said before"),
        (b"{\"command\":\"help\",\"command\":\"reboot\"}", "E109", 19, "was said before"),
        (b"{\"command\":\"re\\boot\\q\"}", "E112", 21, "one of \" \\ / b f n r t u is expected"),
        (b"{\"command\":\"\\u12G4\"}", "E112", 15, "four hexadecimal digits"),
        (b"{\"command\":\"\\ud800 \"}", "E112", 13, "half of a pair of surrogates"),
        (b"{\"command\":\"\\ud800\\u0041\"}", "E112", 13, "half of a pair of surrogates"),
        (b"{\"command\":\"\\udc00\"}", "E112", 13, "half of a pair of surrogates"),
        (b"{\"command\":\"a\tb\"}", "E112", 14, "a control character has to be escaped"),
        (b"{\"command\":\"\xff\"}", "E107", 13, "byte 0xff is no text"),
        (b"{\"command\":\"reboot\"\0}", "E107", 20, "byte 0x00 is no text"),
        ("{\"command\":\"\u{e4}\",\"text\":1}".as_bytes(), "E112", 23, "the lines to be loaded"),
        (
            b"{\"command\":\"reboot\",\"text\":\"set system hostname x\"}",
            "E112",
            28,
            "\"text\" is for 'load merge' and 'load replace'",
        ),
    ];
    let mut bench = bench();
    for (line, code, column, message) in cases {
        let shown = String::from_utf8_lossy(line);
        let (seen, file_line, at, text) = refusal(&mut bench, line);
        assert_eq!((&*seen, &at), (code, &json!(column)), "{shown}: {text}");
        assert_eq!(file_line, Value::Null);
        assert!(text.contains(message), "{shown}: {text}");
        assert_eq!(bench.appliance.request, None, "{shown}");
    }
    // Columns of a command are its own.
    let commands = [
        ("show servce", "E101", json!(6)),
        ("show \u{e4}\nreboot", "E107", json!(7)),
        ("set system hostname x", "E108", json!(1)),
        ("drain guest g9", "E201", json!(13)),
        ("load merge", "E108", json!(1)),
        ("show port | json | count", "E110", json!(18)),
    ];
    for (command, code, column) in commands {
        let line = json!({ "command": command }).to_string();
        let (seen, _, at, text) = refusal(&mut bench, line.as_bytes());
        assert_eq!((&*seen, at), (code, column), "{command}: {text}");
    }
    output(&mut bench, "configure");
    assert_eq!(refusal(&mut bench, br#"{"command":"load merge"}"#).0, "E112");
    assert_eq!(bench.type_in(b"show version | count\n"), "3\r\n% OK\r\n");
}

/// Whatever an id is, it comes back, also where the rest makes no sense.
#[test]
fn an_id_comes_back() {
    let mut bench = bench();
    let same = ["0", "-1", "12345678901234567890123", "1.50e-7", "\"\"", "\"job 7/\\\\\\\"\""];
    for id in same {
        let answer = bench.type_in(format!("{{\"id\":{id} , \"command\":\"\"}}\n").as_bytes());
        let expected = format!("{{\"schema\":\"fulcrum.reply/1\",\"id\":{id},\"ok\":true,");
        assert!(answer.starts_with(&expected), "{answer}");
    }
    assert_eq!(ask(&mut bench, br#"{"id":7,"comand":"reboot"}"#)["id"], 7);
    assert_eq!(ask(&mut bench, br#"{"comand":"reboot","id":7}"#)["id"], Value::Null);
    let long = format!("{{\"id\":\"{}\",\"command\":\"help\"}}", "x".repeat(63));
    let (code, _, column, message) = refusal(&mut bench, long.as_bytes());
    assert_eq!((&*code, column, &*message), ("E112", json!(7), "an id has at most 64 bytes"));
}

#[test]
fn a_request_has_a_longest_line_and_the_next_one_works() {
    let mut bench = bench();
    output(&mut bench, "configure");
    let line = |bytes: usize| {
        let empty = r##"{"command":"load replace","text":"#"}"##.len();
        let text = "#".repeat(1 + bytes - empty);
        format!("{{\"command\":\"load replace\",\"text\":\"{text}\"}}")
    };
    let (code, file_line, ..) = refusal(&mut bench, line(REQUEST_BYTES_MAX).as_bytes());
    assert_eq!((&*code, file_line), ("E106", json!(1)), "it is the text's line that is too long");
    for bytes in [REQUEST_BYTES_MAX + 1, 2 * REQUEST_BYTES_MAX] {
        let (code, file_line, column, message) = refusal(&mut bench, line(bytes).as_bytes());
        assert_eq!((&*code, file_line), ("E106", Value::Null));
        assert_eq!(column, json!(REQUEST_BYTES_MAX + 1));
        assert_eq!(message, "line longer than 262144 bytes");
    }
    let long = format!("show port # {}\n", "x".repeat(2000));
    assert!(bench.type_in(long.as_bytes()).starts_with("% E106 line longer than 1024 bytes"));
    assert_eq!(output(&mut bench, "exit"), "");
}

/// In script mode a request is one at every seat; a person who types a brace has mistyped, and between
/// `load` and `end` a line is configuration, whatever it begins with.
#[test]
fn only_a_programs_line_is_a_request() {
    let mut bench = Bench::new(4);
    let shown = bench.type_in(b"{\"command\":\"reboot\"}\r");
    assert!(shown.contains("% E101 unknown word '{\"command\":\"reboot\"}'"), "{shown}");
    bench.type_in(b"terminal script on\r");
    assert_eq!(output(&mut bench, "show tech-support").lines().next().unwrap().len(), 24);
    let loaded = bench.type_in(b"configure\nload merge\n{\"command\":\"reboot\"}\nend\n");
    assert!(loaded.contains("% E101 line 1, column 1: unknown word '{"), "{loaded}");
    assert!(loaded.ends_with("% FAILED\r\n"), "{loaded}");
    assert_eq!(bench.appliance.request, None);
    output(&mut bench, "exit");
    assert_eq!(output(&mut bench, "poweroff"), "");
}

/// Requests that were bent at random: each has exactly one answer, of its schema, and what was refused
/// has changed nothing.
#[test]
fn noise_is_answered_line_by_line() {
    let mut bench = bench();
    bench.type_in(b"configure\n");
    let mut random = Random(8259);
    let seeds: [&[u8]; 6] = [
        br#"{"id": 7, "command": "show port | match p1"}"#,
        br#"{"id":"\u00e4\ud83d\ude00","command":"set system hostname a\u0062"}"#,
        br#"{"command":"load merge","text":"set system hostname c\n# \"x\"\nset system hostname d"}"#,
        br#"{"text":"set guest g1 port p1","command":"load replace","id":-1.5e+3}"#,
        br#"{"command":"commit"}"#,
        br#"{"command":"discard","id":0}"#,
    ];
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..20_000 {
        let mut line = seeds[random.next() as usize % seeds.len()].to_vec();
        for _ in 0..random.next() % 3 {
            let at = 1 + random.next() as usize % (line.len() - 1);
            match random.next() % 5 {
                0 => line.truncate(at),
                1 => drop(line.remove(at)),
                2 => line.insert(at, random.next() as u8),
                3 => line[at] = b"\"\\{}[],:e0 u"[random.next() as usize % 12],
                _ => line[at] = random.next() as u8,
            }
            line.resize(line.len().max(2), b' ');
        }
        // These end or abandon a line.
        line.retain(|byte| !b"\r\n\x03".contains(byte));
        let before = (bench.control.config().clone(), bench.control.candidate().clone());
        let reply = ask(&mut bench, &line);
        if reply["ok"] == true {
            accepted += 1;
            serde_json::from_slice::<Value>(&line).expect("what was obeyed is JSON");
        } else {
            refused += 1;
            let after = (bench.control.config().clone(), bench.control.candidate().clone());
            assert!(before == after, "{}", String::from_utf8_lossy(&line));
        }
    }
    assert!(accepted > 4_000 && refused > 10_000, "{accepted} accepted, {refused} refused");
}
