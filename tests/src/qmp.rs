//! QEMU's control port, as much of it as the tests need: cables, NICs, the buttons of the machine.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Mutex;

use crate::LIMIT;

/// What is saved and loaded, and where.
const SNAPSHOT: &str = r#""tag": "then", "vmstate": "snapshots", "devices": ["snapshots"]"#;

pub struct Qmp {
    control: Mutex<Control>,
}

struct Control {
    stream: BufReader<UnixStream>,
    /// Those that nobody has waited for yet.
    events: Vec<String>,
}

/// A NIC to be plugged in behind the wire of this number.
pub(crate) struct NewNic<'a> {
    pub model: &'a str,
    pub port: usize,
    pub bus: &'a str,
    pub slot: usize,
}

impl Qmp {
    pub(crate) fn new(stream: UnixStream) -> Qmp {
        stream.set_read_timeout(Some(LIMIT)).expect("a timeout above zero");
        let control = Control { stream: BufReader::new(stream), events: Vec::new() };
        let qmp = Qmp { control: Mutex::new(control) };
        qmp.execute(r#"{"execute": "qmp_capabilities"}"#);
        qmp
    }

    /// The link of a port goes up or down.
    pub fn set_link(&self, port: usize, up: bool) {
        self.execute(&format!(
            r#"{{"execute": "set_link", "arguments": {{"name": "n{port}", "up": {up}}}}}"#
        ));
    }

    /// A NIC is plugged in; a device that was there is known by the same name.
    #[track_caller]
    pub(crate) fn plug(&self, nic: &NewNic<'_>) {
        let NewNic { model, port, bus, slot } = nic;
        let (id, mac) = (format!("nic{port}"), format!("52:54:00:aa:00:{port:02x}"));
        self.execute(&format!(
            r#"{{"execute": "device_add", "arguments": {{"driver": "{model}", "id": "{id}",
                "netdev": "n{port}", "mac": "{mac}", "bus": "{bus}", "addr": "{slot:#x}",
                "romfile": ""}}}}"#
        ));
    }

    /// A NIC that was plugged in is asked for, and has been let out when this returns.
    #[track_caller]
    pub(crate) fn unplug(&self, port: usize) {
        let id = format!("nic{port}");
        self.execute(&format!(r#"{{"execute": "device_del", "arguments": {{"id": "{id}"}}}}"#));
        self.await_event("DEVICE_DELETED", &format!(r#""device": "{id}""#));
    }

    /// Presses the reset button; other than a reset that the machine asks for, which ends QEMU, this
    /// starts it anew.
    pub fn reset(&self) {
        self.allow_resets();
        self.execute(r#"{"execute": "system_reset"}"#);
    }

    /// Whoever resets the machine starts it anew, and does not end QEMU.
    pub fn allow_resets(&self) {
        self.execute(r#"{"execute": "set-action", "arguments": {"reboot": "reset"}}"#);
    }

    /// Presses the power button.
    pub fn press_power(&self) {
        self.execute(r#"{"execute": "system_powerdown"}"#);
    }

    /// The machine stands still, or goes on.
    pub fn set_running(&self, running: bool) {
        let command = if running { "cont" } else { "stop" };
        self.execute(&format!(r#"{{"execute": "{command}"}}"#));
    }

    /// QEMU itself says nothing in the name of its NICs when a machine has moved here.
    pub(crate) fn announce_nothing(&self) {
        self.execute(
            r#"{"execute": "migrate-set-parameters", "arguments": {"announce-rounds": 0}}"#,
        );
    }

    /// Moves the machine to another QEMU, which waits for it at this socket; returns at once.
    pub(crate) fn migrate(&self, path: &Path) {
        let path = path.display();
        self.execute(&format!(
            r#"{{"execute": "migrate", "arguments": {{"uri": "unix:{path}"}}}}"#
        ));
    }

    /// Sends one command and waits for its answer.
    fn execute(&self, command: &str) {
        let Control { stream, events } = &mut *self.control.lock().unwrap();
        stream.get_mut().write_all(command.as_bytes()).expect("QEMU is there");
        loop {
            let line = next_line(stream);
            assert!(!line.contains("\"error\""), "QEMU refused {command}: {line}");
            if line.contains("\"return\"") {
                return;
            }
            events.push(line);
        }
    }

    /// Has the machine be saved to this file from here on; whatever is in it is overwritten.
    #[track_caller]
    pub fn use_for_snapshots(&self, path: &Path) {
        let path = path.display();
        self.execute(&format!(
            r#"{{"execute": "blockdev-add", "arguments":
                {{"driver": "file", "node-name": "file", "filename": "{path}"}}}}"#
        ));
        let options = r#""options": {"driver": "qcow2", "file": "file", "size": 67108864}"#;
        self.job("blockdev-create", options);
        self.execute(
            r#"{"execute": "blockdev-add", "arguments":
                {"driver": "qcow2", "node-name": "snapshots", "file": "file"}}"#,
        );
    }

    /// Saves the whole machine as it is.
    #[track_caller]
    pub fn save(&self) {
        self.job("snapshot-save", SNAPSHOT);
    }

    /// Has the machine be what it was when it was saved.
    #[track_caller]
    pub fn load(&self) {
        self.job("snapshot-load", SNAPSHOT);
    }

    /// Does what takes a while, and waits for its end.
    #[track_caller]
    fn job(&self, command: &str, arguments: &str) {
        self.execute(&format!(
            r#"{{"execute": "{command}", "arguments": {{"job-id": "job", {arguments}}}}}"#
        ));
        self.await_event("JOB_STATUS_CHANGE", r#""status": "concluded""#);
        // One that failed has the word "error" in the answer.
        self.execute(r#"{"execute": "query-jobs"}"#);
        self.execute(r#"{"execute": "job-dismiss", "arguments": {"id": "job"}}"#);
    }

    /// Whether there was such an event that nobody has waited for, as far as answers have been read.
    pub fn has_event(&self, name: &str) -> bool {
        self.execute(r#"{"execute": "query-name"}"#);
        let control = self.control.lock().unwrap();
        control.events.iter().any(|line| line.contains(&format!("\"{name}\"")))
    }

    /// Waits for an event with these words, unless it has come since it was waited for last.
    #[track_caller]
    pub fn await_event(&self, name: &str, words: &str) {
        let Control { stream, events } = &mut *self.control.lock().unwrap();
        let is_it = |line: &String| line.contains(&format!("\"{name}\"")) && line.contains(words);
        if let Some(at) = events.iter().position(is_it) {
            events.remove(at);
            return;
        }
        loop {
            let line = next_line(stream);
            if is_it(&line) {
                return;
            }
            events.push(line);
        }
    }
}

#[track_caller]
fn next_line(stream: &mut BufReader<UnixStream>) -> String {
    let mut line = String::new();
    let length = stream.read_line(&mut line).expect("QEMU says something");
    assert!(length > 0, "QEMU ended");
    line
}
