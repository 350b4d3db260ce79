//! Command lines that are understood, and what is said of the others.

use super::*;

fn parsed(line: &str) -> Result<Request, OptionError> {
    parse(line.split_ascii_whitespace().map(String::from))
}

#[test]
fn nothing_is_needed() {
    let Ok(Request::Run(options)) = parsed("") else { panic!("no options are options") };
    assert_eq!(options.target.to_string(), "169.254.2.1:3333");
    assert_eq!(options.interval, Duration::from_millis(500));
    assert_eq!(options.control_path(), Path::new("/run/fulcrum-agent/control"));
    assert_eq!(options, Options::default());
}

#[test]
fn all_of_them_in_both_forms() {
    let expected = Options {
        interface: Some("eth0".into()),
        interval: Duration::from_millis(250),
        service: Some("web".parse().unwrap()),
        target: "[fe80::6c:62%eth0]:3333".parse().unwrap(),
        control: Some("/run/c".into()),
        app_file: None,
        app_socket: Some("/run/a".into()),
        listen: Some("0.0.0.0:3334".parse().unwrap()),
        push: true,
        drain_on_stop: Some(Duration::from_secs(30)),
        wait: Duration::from_secs(60),
        verbose: true,
    };
    let spaced = "--interface eth0 --interval 250 --service web --target [fe80::6c:62%eth0]:3333 \
                  --control /run/c --app-socket /run/a --listen 0.0.0.0:3334 --drain-on-stop 30 -v";
    let joined = "--interface=eth0 --interval=250 --service=web --target=[fe80::6c:62%eth0]:3333 \
                  --control=/run/c --app-socket=/run/a --listen=0.0.0.0:3334 --drain-on-stop=30 \
                  --verbose";
    assert_eq!(parsed(joined), parsed(spaced));
    assert_eq!(parsed(joined), Ok(Request::Run(expected)));
    assert_eq!(parsed("--interval 99 --help"), Ok(Request::Help));
    assert_eq!(parsed("drain -h"), Ok(Request::Help));
}

#[test]
fn commands() {
    let wait = |seconds| Options { wait: Duration::from_secs(seconds), ..Options::default() };
    let app = Options { app_file: Some("/a=b".into()), ..Options::default() };
    let pull =
        Options { listen: Some("[::1]:3334".parse().unwrap()), push: false, ..Options::default() };
    let cases = [
        ("drain", Request::Drain(wait(60))),
        ("drain --wait 5", Request::Drain(wait(5))),
        ("--wait 3600 drain", Request::Drain(wait(3600))),
        ("undrain", Request::Undrain(wait(60))),
        ("--once", Request::Once(wait(60))),
        ("--once --app-file=/a=b", Request::Once(app)),
        ("--no-push --listen [::1]:3334", Request::Run(pull)),
    ];
    for (line, request) in cases {
        assert_eq!(parsed(line), Ok(request), "{line}");
    }
}

#[test]
fn errors_say_what_was_expected() {
    let cases = [
        ("--intervall 5", "unknown option '--intervall'"),
        ("eth0", "unknown command 'eth0': expected drain, undrain or options alone"),
        ("drain undrain", "unknown command 'undrain': expected drain, undrain or options alone"),
        ("-v=1", "unknown option '-v=1'"),
        ("--interface", "--interface needs a value"),
        ("--once=yes", "--once takes no value"),
        ("--interval 5", "--interval '5': expected milliseconds, 50 to 60000"),
        ("--interval 1s", "--interval '1s': expected milliseconds, 50 to 60000"),
        ("--interface a/b", "--interface 'a/b': expected a name such as eth0"),
        ("--service 9", "--service '9': a name begins with a letter"),
        (
            "--target 169.254.2.1",
            "--target '169.254.2.1': expected ADDRESS:PORT such as 169.254.2.1:3333 or \
             [fe80::6c:62%eth0]:3333",
        ),
        ("--listen 3334", "--listen '3334': expected ADDRESS:PORT such as 0.0.0.0:3334"),
        ("drain --wait 0", "--wait '0': expected seconds, 1 to 3600"),
        ("--drain-on-stop 1h", "--drain-on-stop '1h': expected seconds, 1 to 3600"),
        ("--wait 5", "--wait is for 'drain'"),
        ("drain --once", "--once is not for 'drain'"),
        ("undrain -v", "--verbose is not for 'undrain'"),
        ("undrain --wait 5", "--wait is not for 'undrain'"),
        ("--app-file a --app-socket b", "--app-file cannot stand with --app-socket"),
        (
            "--no-push --listen 0.0.0.0:1 --drain-on-stop 5",
            "--no-push cannot stand with --drain-on-stop",
        ),
        ("--once --listen 0.0.0.0:1", "--once cannot stand with --listen"),
        ("--no-push", "--no-push needs --listen"),
    ];
    for (line, expected) in cases {
        let error = parsed(line).expect_err(line);
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn help_names_every_option() {
    let flags = ["--no-push", "--once", "--verbose", "--help"];
    let names = OF_ONE_COMMAND.iter().map(|(name, _)| *name).chain(flags);
    let all = names.chain(["--interface", "--interval", "--service", "--target", "--control"]);
    for name in all {
        assert!(HELP.contains(&format!("{name} ")), "{name}");
    }
    assert!(HELP.lines().all(|line| line.len() <= 92), "it fits a terminal");
}
