//! HAProxy's side: who connects gets one line.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use lb::guest::report::{LoadReport, Share};

use crate::fixture::{Agent, Switch, run};

/// An address that was free a moment ago.
fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Connects as soon as somebody listens.
fn connect(address: SocketAddr) -> TcpStream {
    for _ in 0..500 {
        if let Ok(client) = TcpStream::connect(address) {
            client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            return client;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("nobody listens at {address}");
}

/// All that is said to a client until the stream ends.
fn told(client: &mut TcpStream) -> String {
    let mut line = String::new();
    client.read_to_string(&mut line).unwrap();
    line
}

/// Asks until a per cent is known, and gives the line.
fn line_with_share(address: SocketAddr) -> String {
    let mut lines = (0..500).map(|_| {
        std::thread::sleep(Duration::from_millis(10));
        told(&mut connect(address))
    });
    lines.find(|line| line.contains('%')).expect("a share after the first interval")
}

#[test]
fn one_line_in_haproxys_words_and_the_stream_ends() {
    let (switch, address) = (Switch::new(), free_address());
    let listen = address.to_string();
    let agent = Agent::start(&switch, &["--interval=50", "--no-push", "--listen", &listen]);
    let line = line_with_share(address);
    let report = LoadReport::parse(line.as_bytes()).unwrap();
    let Some(Share::Percent(percent)) = report.share else { panic!("{line}") };
    assert_eq!(line, format!("up ready {percent}%\n"));

    // HAProxy's `agent-send`: said before the line is read, and of no consequence.
    let mut client = connect(address);
    client.write_all(b"be_web/web1\n").unwrap();
    assert!(told(&mut client).starts_with("up ready "));

    // The switch hears nothing of all that, and `drain` says why it cannot be waited for.
    let err = "fulcrum-agent: no switch drains this guest: \
               this agent reports to no switch (--no-push)\n";
    let drained = run(&["drain", "--wait=1", "--control", &agent.control()]);
    assert_eq!(drained, (Some(4), String::new(), err.into()));
    assert!(told(&mut connect(address)).starts_with("up drain "), "but HAProxy is told");
    assert!(switch.is_silent());
    assert_eq!(agent.kill(), (None, String::new(), String::new()));
}

#[test]
fn clients_that_neither_read_nor_leave_keep_nobody_waiting() {
    let (switch, address) = (Switch::new(), free_address());
    let listen = address.to_string();
    let agent = Agent::start(&switch, &["--interval=50", "--listen", &listen]);
    let idle: Vec<TcpStream> = (0..100).map(|_| connect(address)).collect();
    assert!(told(&mut connect(address)).starts_with("up ready"));
    switch.hear();
    assert!(switch.hear().seq() >= 2, "and the switch is told as ever");
    drop(idle);
    drop(agent);
}

#[test]
fn an_address_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, _, err) = run(&["--no-push", "--listen", &address]);
    assert_eq!(code, Some(1));
    assert!(err.starts_with(&format!("fulcrum-agent: cannot listen at {address}: ")), "{err}");
}
