//! What an application hands over, by a file and by a socket.

use std::fs::File;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, SystemTime};

use nix::sys::signal::Signal;

use lb::guest::report::{HealthWord, LoadReport};

use crate::fixture::{Agent, Scratch, Switch};

fn app(report: &LoadReport<'_>) -> Option<u32> {
    report.numbers.app.map(|app| app.millionths())
}

/// As young as a file can be, so that the agent has time to start.
fn soon() -> SystemTime {
    SystemTime::now() + Duration::from_millis(1_500)
}

#[test]
fn a_file_is_read_before_each_report_until_it_is_too_old() {
    let (switch, files) = (Switch::new(), Scratch::new());
    let path = files.path("load");
    std::fs::write(&path, "app=0.7 rif=12 #warm\n").unwrap();
    File::options().write(true).open(&path).unwrap().set_modified(soon()).unwrap();
    let name = files.name("load");
    let agent = Agent::start(&switch, &["--interval=50", "--app-file", &name]);
    let heard = switch.hear();
    let report = heard.report();
    assert_eq!((app(&report), report.numbers.requests_in_flight), (Some(700_000), Some(12)));
    assert_eq!((report.health, report.reason), (Some(HealthWord::Up), Some("warm")));
    assert!(report.numbers.cpu.is_some(), "beside what is measured: {}", heard.line);

    // Replaced whole, by one that is not new.
    let other = files.path("load.new");
    std::fs::write(&other, "app=0.9\n").unwrap();
    let hour = Duration::from_secs(3600);
    File::options()
        .write(true)
        .open(&other)
        .unwrap()
        .set_modified(SystemTime::now() - hour)
        .unwrap();
    std::fs::rename(&other, &path).unwrap();
    let heard = switch.hear_until(|report| app(report) != Some(700_000));
    assert_eq!((app(&heard.report()), heard.report().reason), (None, None), "{}", heard.line);
    for _ in 0..3 {
        assert_eq!(app(&switch.hear().report()), None);
    }
    std::fs::write(&path, "app=0.2\n").unwrap();
    switch.hear_until(|report| app(report) == Some(200_000));
    let (_, out, err) = agent.kill();
    let told = format!(
        "fulcrum-agent: {name}: nothing new for 2 s, the application no longer counts\n\
         fulcrum-agent: {name}: the application counts\n"
    );
    let about_the_file = err.lines().filter(|line| line.contains(&name));
    let about_the_file: String = about_the_file.flat_map(|line| [line, "\n"]).collect();
    assert_eq!((out.as_str(), about_the_file), ("", told), "each said once");
}

#[test]
fn a_socket_takes_lines_and_names_the_column_of_a_bad_one() {
    let (switch, files) = (Switch::new(), Scratch::new());
    let (path, name) = (files.path("app"), files.name("app"));
    drop(UnixDatagram::bind(&path).unwrap());
    let agent = Agent::start(&switch, &["--interval=50", "--app-socket", &name]);
    assert_eq!(app(&switch.hear().report()), None);

    let application = UnixDatagram::bind(files.path("application")).unwrap();
    application.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let answered = |line: &str| {
        application.send_to(line.as_bytes(), &path).unwrap();
        let mut answer = [0; 200];
        let len = application.recv(&mut answer).unwrap();
        String::from_utf8(answer[..len].to_vec()).unwrap()
    };
    assert_eq!(answered("down app=0.7 #no database\n"), "ok\n");
    let heard = switch.hear_until(|report| app(report) == Some(700_000));
    let report = heard.report();
    assert_eq!((report.health, report.reason), (Some(HealthWord::Down), Some("no database")));

    let nak = answered("app=0.9 id=7\n");
    assert_eq!(nak, "nak column=9 'id' is the agent's to say\n");
    assert_eq!(app(&switch.hear().report()), Some(700_000), "a bad line changes nothing");
    // Two seconds without a word; the agent's reports are the clock.
    switch.hear_until(|report| app(report).is_none());

    agent.signal(Signal::SIGTERM);
    let (code, _, err) = agent.finish();
    assert_eq!(code, Some(0));
    for told in [
        format!("{name}: column=9 'id' is the agent's to say\n"),
        format!("{name}: nothing new for 2 s, the application no longer counts\n"),
    ] {
        assert_eq!(err.matches(&told).count(), 1, "{err}");
    }
    assert!(!path.exists(), "the socket's file goes with the agent");
}
