//! A switch, agents that end with the test, and a place for their files.

use std::io::Read;
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use lb::guest::report::{Ack, AckState, LoadReport};

/// Exit status, standard output, standard error.
pub type Finished = (Option<i32>, String, String);

/// The switch's end.
pub struct Switch(UdpSocket);

/// A report as it came.
pub struct Heard {
    pub line: String,
    pub from: SocketAddr,
}

/// A directory that goes with the test.
pub struct Scratch(PathBuf);

pub struct Agent {
    pub child: Child,
    pub files: Scratch,
}

impl Switch {
    pub fn new() -> Switch {
        Switch::at("127.0.0.1:0")
    }

    pub fn at(address: &str) -> Switch {
        let socket = UdpSocket::bind(address).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Switch(socket)
    }

    pub fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    pub fn target(&self) -> String {
        self.address().to_string()
    }

    pub fn hear(&self) -> Heard {
        let mut datagram = [0; 600];
        let (len, from) = self.0.recv_from(&mut datagram).expect("a report within ten seconds");
        Heard { line: String::from_utf8(datagram[..len].to_vec()).unwrap(), from }
    }

    /// The first report for which this holds, of those within reason.
    pub fn hear_until(&self, what: impl Fn(&LoadReport<'_>) -> bool) -> Heard {
        let mut all = (0..200).map(|_| self.hear());
        all.find(|heard| what(&heard.report())).expect("such a report")
    }

    /// Whether nothing waits to be heard.
    pub fn is_silent(&self) -> bool {
        self.0.set_nonblocking(true).unwrap();
        let silent = self.0.peek_from(&mut [0; 600]).is_err();
        self.0.set_nonblocking(false).unwrap();
        silent
    }

    pub fn answer(&self, to: SocketAddr, line: &str) {
        self.0.send_to(format!("{line}\n").as_bytes(), to).unwrap();
    }

    /// Hears a report, acknowledges it and gives it back.
    pub fn acknowledge(&self, state: AckState, flows: u32) -> Heard {
        let heard = self.hear();
        self.answer(heard.from, &ack(heard.seq(), state, flows));
        heard
    }
}

impl Heard {
    pub fn report(&self) -> LoadReport<'_> {
        LoadReport::parse(self.line.as_bytes()).unwrap()
    }

    pub fn seq(&self) -> u32 {
        self.report().seq.unwrap()
    }
}

impl Scratch {
    pub fn new() -> Scratch {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("fulcrum-agent-test.{}.{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Scratch(path)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn name(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Agent {
    pub fn start(switch: &Switch, options: &[&str]) -> Agent {
        Agent::start_in(Scratch::new(), switch, options)
    }

    pub fn start_in(files: Scratch, switch: &Switch, options: &[&str]) -> Agent {
        let control = files.path("control");
        let mut command = command(options);
        if !options.contains(&"--once") {
            command.arg("--control").arg(control);
        }
        let child = command.arg("--target").arg(switch.target()).spawn().unwrap();
        Agent { child, files }
    }

    /// What this agent's control socket is called.
    pub fn control(&self) -> String {
        self.files.name("control")
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }

    pub fn kill(mut self) -> Finished {
        self.child.kill().unwrap();
        self.finish()
    }

    pub fn finish(mut self) -> Finished {
        let (mut out, mut err) = (String::new(), String::new());
        if let Some(stdout) = &mut self.child.stdout {
            stdout.read_to_string(&mut out).unwrap();
        }
        self.child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        (self.child.wait().unwrap().code(), out, err)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn command(options: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fulcrum-agent"));
    command.args(options).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub fn run(options: &[&str]) -> Finished {
    let Output { status, stdout, stderr } = command(options).output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

pub fn ack(seq: u32, state: AckState, flows: u32) -> String {
    Ack { seq: Some(seq), state, weight: 100, flows, new: 3, ended: 2, syn_ack_us: Some(180) }
        .to_string()
}
