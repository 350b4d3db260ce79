//! What reports leave behind in a real, and for how long.

use super::*;
use std::string::ToString;

const START: Instant = Instant::from_millis(60_000);

fn after_ms(ms: u64) -> Instant {
    START + Duration::from_millis(ms)
}

fn counters(flows_open: u32, flows_new: u64, flows_ended: u64) -> RealCounters {
    RealCounters { flows_open, flows_new, flows_ended, ..RealCounters::default() }
}

fn accept(load: &mut RealLoad, line: &str, now: Instant) -> Result<FlowsBetween, ReportRefusal> {
    let report = LoadReport::parse(line.as_bytes()).unwrap();
    load.accept(&report, now, &counters(0, 0, 0), Agent::Push)
}

fn reported(line: &str) -> Option<u32> {
    let mut load = RealLoad::default();
    accept(&mut load, line, START).unwrap();
    load.reported().map(|reported| reported.load.millionths())
}

#[test]
fn l5_older_and_equal_sequences_are_refused_and_change_nothing() {
    let mut load = RealLoad::default();
    accept(&mut load, "id=a seq=7 cpu=0.5 drain", START).unwrap();
    let before = std::format!("{load:?}");
    for seq in [7, 6, 0, u32::MAX] {
        let line = std::format!("id=a seq={seq} cpu=0.9 up");
        let refused = accept(&mut load, &line, after_ms(10));
        assert_eq!(refused, Err(ReportRefusal::Old { seq, last: 7 }));
        assert_eq!(std::format!("{load:?}"), before);
    }
    accept(&mut load, "id=a seq=8 up", after_ms(10)).unwrap();
    assert_eq!(load.word(after_ms(10)), Some(AgentWord::Up));
}

#[test]
fn l6_sequences_wrap_and_a_jump_of_half_the_circle_counts_once() {
    let newer = [(1, 0), (0, u32::MAX), (5, u32::MAX - 5), (0x7fff_ffff, 0), (0x8000_0000, 0)];
    for (seq, last) in newer {
        assert!(is_newer(seq, last), "{seq} after {last}");
        assert!(!is_newer(last, seq), "{last} after {seq}");
    }
    assert!(!is_newer(9, 9));

    let mut load = RealLoad::default();
    accept(&mut load, "id=a seq=5 up", START).unwrap();
    accept(&mut load, "id=a seq=2147483653 up", after_ms(1)).unwrap();
    assert!(accept(&mut load, "id=a seq=5 up", after_ms(2)).is_err());
    assert!(accept(&mut load, "id=a seq=6 up", after_ms(2)).is_err());
    accept(&mut load, "id=a seq=2147483654 up", after_ms(3)).unwrap();
}

#[test]
fn another_id_or_a_long_silence_is_a_new_life() {
    let mut load = RealLoad::default();
    accept(&mut load, "id=a seq=900 cpu=0.8 50% drain", START).unwrap();
    accept(&mut load, "id=b seq=1 cpu=0.2", after_ms(100)).unwrap();
    assert_eq!(load.word(after_ms(100)), None);
    assert_eq!(load.effective_weight(100, after_ms(100)).to_string(), "100");
    // The old life's load is not smoothed into the new one.
    assert_eq!(load.reported().unwrap().smoothed.to_string(), "0.2");

    // Without an id a restarted agent counts from 1 again: taken once the old report has expired.
    let mut load = RealLoad::default();
    accept(&mut load, "seq=900 cpu=0.8", START).unwrap();
    assert!(accept(&mut load, "seq=1 cpu=0.2", after_ms(5_000)).is_err());
    accept(&mut load, "seq=1 cpu=0.2", after_ms(5_001)).unwrap();
    assert_eq!(load.reported().unwrap().smoothed.to_string(), "0.2");
}

#[test]
fn every_report_is_the_whole_state() {
    let mut load = RealLoad::default();
    accept(&mut load, "drain 50% maxconn:9 cpu=0.5 #going down", START).unwrap();
    assert_eq!(load.word(START), Some(AgentWord::Drain));
    assert_eq!(load.effective_weight(100, START).whole(), 50);
    assert_eq!((load.flows_max(START), load.reason()), (Some(9), Some("going down")));

    accept(&mut load, "up", after_ms(1)).unwrap();
    assert_eq!(load.word(after_ms(1)), Some(AgentWord::Up));
    assert_eq!(load.effective_weight(100, after_ms(1)).whole(), 100);
    assert_eq!((load.flows_max(after_ms(1)), load.reason()), (None, None));
    assert_eq!((load.reported(), load.numbers()), (None, Some(&Numbers::default())));
}

#[test]
fn the_weightier_word_counts() {
    let cases = [
        ("up", Some(AgentWord::Up)),
        ("ready", Some(AgentWord::Up)),
        ("up drain", Some(AgentWord::Drain)),
        ("up maint", Some(AgentWord::Maint)),
        ("stopped ready", Some(AgentWord::Down)),
        ("fail drain", Some(AgentWord::Down)),
        ("down maint", Some(AgentWord::Down)),
        ("cpu=0.1", None),
    ];
    for (line, word) in cases {
        let mut load = RealLoad::default();
        accept(&mut load, line, START).unwrap();
        assert_eq!(load.word(START), word, "{line}");
    }
}

#[test]
fn an_agent_lowers_its_weight_and_never_raises_it() {
    let cases = [
        (100, "75%", "75"),
        (1, "75%", "0.75"),
        (1000, "1%", "10"),
        (1, "1%", "0.01"),
        (100, "0%", "0"),
        (100, "100%", "100"),
        (100, "weight:20", "20"),
        (100, "weight:1000", "100"),
        (0, "weight:50", "0"),
    ];
    for (configured, line, effective) in cases {
        let mut load = RealLoad::default();
        accept(&mut load, line, START).unwrap();
        let weight = load.effective_weight(configured, START);
        assert_eq!(weight.to_string(), effective, "{configured} {line}");
        assert_eq!(weight.whole() == 0, effective == "0");
    }
}

#[test]
fn l8_a_silent_agent_ages_goes_stale_expires_and_leaves_the_configured_weight() {
    let mut load = RealLoad::default();
    assert_eq!((load.phase(START), load.age(START)), (None, None));
    accept(&mut load, "up drain 50% maxconn:9 cpu=0.5", START).unwrap();
    let at = |ms| {
        let now = after_ms(ms);
        (load.phase(now).unwrap().as_str(), load.effective_weight(100, now).whole(), load.word(now))
    };
    let drain = Some(AgentWord::Drain);
    assert_eq!(at(0), ("fresh", 50, drain));
    assert_eq!(at(1_000), ("fresh", 50, drain));
    assert_eq!(at(1_001), ("ageing", 50, drain));
    assert_eq!(at(2_500), ("ageing", 50, drain));
    assert_eq!(at(2_501), ("stale", 50, drain));
    assert_eq!(at(5_000), ("stale", 50, drain));
    assert_eq!(at(5_001), ("expired", 100, drain));
    assert_eq!(at(60_000), ("expired", 100, drain));
    assert_eq!(at(60_001), ("expired", 100, None));
    assert_eq!(load.flows_max(after_ms(5_000)), Some(9));
    assert_eq!(load.flows_max(after_ms(5_001)), None);
}

#[test]
fn age_is_counted_in_the_agents_own_intervals() {
    let phase = |load: &RealLoad, ms| load.phase(after_ms(ms)).unwrap().as_str();
    let mut load = RealLoad::default();
    for ms in [0, 5_000, 10_000] {
        accept(&mut load, &std::format!("seq={} cpu=0.5 50%", ms + 1), after_ms(ms)).unwrap();
    }
    assert_eq!(load.interval(), Duration::from_secs(5));
    let at = |ms| (phase(&load, ms), load.effective_weight(100, after_ms(ms)).whole());
    assert_eq!([at(20_000), at(20_001)], [("fresh", 50), ("ageing", 50)]);
    assert_eq!([at(35_001), at(60_001)], [("stale", 50), ("expired", 100)]);
    assert_eq!(load.freshness(after_ms(27_500)).to_string(), "0.5");
    assert_eq!(load.holds_until(after_ms(20_000)), Some(after_ms(20_000)));
    assert_eq!(load.holds_until(after_ms(20_001)), Some(after_ms(35_000)));

    let mut asked = RealLoad::default();
    let agent = Agent::Pull { port: 3333.try_into().unwrap(), interval: Duration::from_secs(30) };
    let report = LoadReport::parse(b"cpu=0.5").unwrap();
    asked.accept(&report, START, &counters(0, 0, 0), agent).unwrap();
    assert_eq!([phase(&asked, 60_000), phase(&asked, 60_001)], ["fresh", "ageing"]);
}

#[test]
fn words_hold_for_the_time_that_their_report_says() {
    let mut load = RealLoad::default();
    accept(&mut load, "maint ttl=2500", START).unwrap();
    assert_eq!(load.word(after_ms(2_500)), Some(AgentWord::Maint));
    assert_eq!(load.word(after_ms(2_501)), None);
}

#[test]
fn l14_a_time_in_the_report_is_not_looked_at() {
    let mut load = RealLoad::default();
    accept(&mut load, "up cpu=0.5 ts=4102444800 time=+3600", START).unwrap();
    assert_eq!(load.age(after_ms(300)), Some(Duration::from_millis(300)));
}

#[test]
fn l10_an_alternating_load_is_smoothed() {
    let mut load = RealLoad::default();
    let mut smoothed = std::vec::Vec::new();
    for report in 0..20 {
        let line = if report % 2 == 0 { "cpu=0" } else { "cpu=1" };
        accept(&mut load, line, after_ms(report * 500)).unwrap();
        smoothed.push(load.reported().unwrap().smoothed.millionths());
    }
    for value in &smoothed[8..] {
        assert!((330_000..670_000).contains(value), "{value}");
    }
}

#[test]
fn the_scarcest_resource_is_the_load_unless_the_application_says_it() {
    let cases = [
        ("cpu=0.4", Some(400_000)),
        ("cpu=0.4 steal=0.3", Some(700_000)),
        ("cpu=0.4 io=0.6 mem=0.8", Some(600_000)),
        ("cpu=0.4 mem=0.95", Some(500_000)),
        ("cpu=0.4 mem=1", Some(1_000_000)),
        ("app=0.1 cpu=0.9 mem=1 steal=1", Some(100_000)),
        ("app=0 cpu=0.9", Some(0)),
        ("cpu=1.6", Some(1_600_000)),
        ("cpu=100", Some(4_000_000)),
        ("cpu=100 steal=100", Some(4_000_000)),
        ("app=50", Some(4_000_000)),
        ("up 75% rif=7", None),
        ("mem=0.99", None),
    ];
    for (line, load) in cases {
        assert_eq!(reported(line), load, "{line}");
    }
}

#[test]
fn an_answer_tells_the_flows_since_the_report_before() {
    let mut load = RealLoad::default();
    let report = LoadReport::parse(b"up").unwrap();
    let first = load.accept(&report, START, &counters(2, 10, 8), Agent::Push);
    assert_eq!(first, Ok(FlowsBetween { new: 10, ended: 8 }));
    let second = load.accept(&report, after_ms(500), &counters(3, 13, 10), Agent::Push);
    assert_eq!(second, Ok(FlowsBetween { new: 3, ended: 2 }));
}

/// What a real is like after reports of this load each half second, asked so often between them.
fn experienced(seconds: u64, line: &str, asked: u32) -> Experience {
    let mut load = RealLoad::default();
    for report in 0..=2 * seconds {
        accept(&mut load, line, after_ms(500 * report)).unwrap();
        (0..asked).for_each(|_| load.asked(after_ms(500 * report + 1)));
    }
    load.experience().unwrap()
}

#[test]
fn experience_grows_with_time_and_fades() {
    let parts = |seconds, line, asked| {
        let Experience { load, asked, beside, .. } = experienced(seconds, line, asked);
        (load.millionths() / 10_000, asked / 1000, beside.millionths() / 10_000)
    };
    // Of 50 requests in half a second that make half a load; the first report stands alone.
    assert_eq!(parts(0, "cpu=0.5", 50), (0, 0, 25));
    assert_eq!(parts(1, "cpu=0.5", 50), (5, 5, 6));
    assert_eq!(parts(8, "cpu=0.5", 50), (31, 31, 0));
    assert_eq!(parts(60, "cpu=0.5", 50), (49, 49, 0));
    assert_eq!(parts(60, "cpu=0.5", 0), (0, 0, 49), "nobody asked: it is another program's");
}

#[test]
fn what_another_program_took_is_not_held_against_a_real() {
    let mut load = RealLoad::default();
    let half = |load: &mut RealLoad, line: &str, asked: u32, at: u64| {
        (0..asked).for_each(|_| load.asked(after_ms(at * 500 - 1)));
        accept(load, line, after_ms(at * 500)).unwrap();
        let Experience { load, asked, beside, .. } = load.experience().unwrap();
        // Requests at a whole load.
        let capacity = asked * 1000 / u64::from(load.millionths()).max(1);
        (capacity, beside.millionths() / 10_000)
    };
    (1..60).for_each(|at| _ = half(&mut load, "cpu=0.5", 50, at));
    assert_eq!(half(&mut load, "cpu=0.5", 50, 60), (99, 0));
    // A hog, and soon nobody asks any more.
    assert_eq!(half(&mut load, "cpu=1", 10, 61), (96, 29));
    (62..90).for_each(|at| _ = half(&mut load, "cpu=1", 0, at));
    assert_eq!(half(&mut load, "cpu=1", 0, 90), (96, 99));
    // It ends.
    (91..94).for_each(|at| _ = half(&mut load, "cpu=0", 0, at));
    assert_eq!(half(&mut load, "cpu=0", 0, 94), (96, 6));
}

#[test]
fn experience_is_of_one_life() {
    let mut load = RealLoad::default();
    (0..9).for_each(|ms| load.asked(after_ms(ms)));
    accept(&mut load, "id=a cpu=0.9 rif=40", after_ms(100)).unwrap();
    let before = load.experience().unwrap();
    assert!(before.load > Fraction::ZERO && before.asked > 0 && before.in_flight > 0);
    accept(&mut load, "id=b cpu=0", after_ms(2_000)).unwrap();
    assert_eq!(load.experience(), Some(Experience::default()));
}

#[test]
fn a_reason_is_cut_to_what_is_kept() {
    let mut load = RealLoad::default();
    let line = std::format!("down #{}", "x".repeat(400));
    accept(&mut load, &line, START).unwrap();
    assert_eq!(load.reason().map(str::len), Some(RealLoad::REASON_BYTES_MAX));
}
