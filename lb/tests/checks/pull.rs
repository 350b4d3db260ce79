//! Agents whose line is fetched, as HAProxy's `agent-check` does.

use std::time::Duration;

use lb::wire::ip::Version;
use lb::*;

use crate::scene::{Scene, What};
use crate::station::{Manner, Station};
use crate::world::*;

const PORT: u16 = 9777;

/// A guest whose agent says this as soon as it is called, in this manner.
fn scene(version: Version, vlan: u16, manner: Manner, line: &[u8]) -> Scene {
    let served = Served { version, vlan, ..Served::default() };
    let mut scene = Scene::new(What::Tcp, served, What::Tcp.check(), &[manner]);
    let interval = Duration::from_secs(1);
    let agent = Agent::Pull { port: PORT.try_into().unwrap(), interval };
    // The only real there is: by default its word that it does not work would be panic.
    let spec = ServiceSpec { agent, check: None, panic: Some(0), ..served.spec("web") };
    scene.world.apply(Command::SetService(spec));
    scene.stations = vec![Station {
        answer: line.to_vec(),
        waits_for_request: false,
        port: PORT,
        ..Station::new(1, served, manner)
    }];
    scene
}

fn reports(scene: &Scene) -> ReportCounters {
    *scene.world.plane.reports().counters(port(1))
}

#[test]
fn lines_are_heard_as_reports_are() {
    let ok: Result<(), Ineligible> = Ok(());
    for (what, line, eligibility, weight) in [
        ("a share", &b"50%\n"[..], ok, 50),
        ("in capitals, with a reason", b"UP 75% #fine\r\n", ok, 75),
        ("between commas and tabs", b"ready,\tup,25%\n", ok, 25),
        ("until the end", b"up 10%", ok, 10),
        ("a carriage return alone", b"up 20%\rdown", ok, 20),
        ("what comes after", b"up 30%\ndown\n", ok, 30),
        ("drain", b"drain\n", Err(Ineligible::AgentDrain), 100),
        ("maint", b"maint\n", Err(Ineligible::AgentMaint), 100),
        ("stopped", b"stopped\n", Err(Ineligible::AgentDown), 100),
        ("fail", b"fail#db\n", Err(Ineligible::AgentDown), 100),
    ] {
        for (version, vlan) in
            [(Version::V4, 0), (Version::V4, 10), (Version::V6, 0), (Version::V6, 10)]
        {
            let mut scene = scene(version, vlan, Manner::Answers, line);
            scene.pass(Duration::from_millis(1100));
            let standing = scene.world.standing("web", 1);
            assert_eq!(standing.eligibility, eligibility, "{what}");
            assert_eq!(standing.effective_weight.whole(), weight, "{what}");
            let (reports, counters) = (reports(&scene), scene.counters());
            assert_eq!(ReportCounters { accepted: counters.passed, ..Default::default() }, reports);
            assert!(counters.passed >= 1 && counters.failed == 0, "{what}: {counters:?}");
            assert_eq!(scene.stations[0].request, b"", "{what}: it is not asked, only called");
        }
    }
}

#[test]
fn what_is_no_line_changes_nothing() {
    let long = [b'x'; 600];
    for (what, manner, line, malformed) in [
        ("no such word", Manner::Answers, &b"sideways\n"[..], true),
        ("an empty line", Manner::Answers, b"\n", true),
        ("too long", Manner::Answers, &long, true),
        ("too long without an end", Manner::Endless, b"", true),
        ("no letter", Manner::Answers, b"up \xff\n", true),
        ("nothing", Manner::Silent, b"", false),
        ("refused", Manner::Refuses, b"", false),
        ("letter by letter", Manner::Slow, b"up 50% #as slow as it may be\n", false),
    ] {
        let mut scene = scene(Version::V4, 0, manner, line);
        scene.pass(Duration::from_millis(2200));
        let standing = scene.world.standing("web", 1);
        assert_eq!(standing.eligibility, Ok(()), "{what}: silence marks nobody dead");
        assert_eq!(standing.effective_weight.whole(), 100, "{what}");
        let (reports, counters) = (reports(&scene), scene.counters());
        let expected = if malformed { counters.passed } else { 0 };
        assert_eq!(ReportCounters { malformed: expected, ..Default::default() }, reports, "{what}");
        assert_eq!(counters.failed > 0, !malformed, "{what}: {counters:?}");
        assert!(scene.world.real("web", 1).watch.is_none() && scene.told().is_empty(), "{what}");
    }
}

#[test]
fn what_a_dead_agent_said_ages_by_the_pace_at_which_it_is_asked() {
    let mut scene = scene(Version::V4, 0, Manner::Answers, b"up 50%\n");
    scene.pass(Duration::from_millis(2500));
    scene.stations[0].manner = Manner::Refuses;
    let accepted = reports(&scene).accepted;
    let weight = |scene: &Scene| scene.world.standing("web", 1).effective_weight.whole();
    scene.pass(Duration::from_secs(8));
    assert_eq!((weight(&scene), reports(&scene).accepted), (50, accepted), "not ten seconds yet");
    scene.pass(Duration::from_secs(4));
    assert_eq!(weight(&scene), 100, "expired");
    assert!(scene.counters().failed >= 10);
}
