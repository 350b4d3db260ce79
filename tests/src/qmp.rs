//! QEMU's control port, as much of it as the tests need: pull a cable, put it back; the reset button.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::sync::Mutex;

use crate::LIMIT;

pub struct Qmp {
    stream: Mutex<BufReader<UnixStream>>,
}

impl Qmp {
    pub(crate) fn new(stream: UnixStream) -> Qmp {
        stream.set_read_timeout(Some(LIMIT)).expect("a timeout above zero");
        let qmp = Qmp { stream: Mutex::new(BufReader::new(stream)) };
        qmp.execute(r#"{"execute": "qmp_capabilities"}"#);
        qmp
    }

    /// The link of a port goes up or down.
    pub fn set_link(&self, port: usize, up: bool) {
        self.execute(&format!(
            r#"{{"execute": "set_link", "arguments": {{"name": "n{port}", "up": {up}}}}}"#
        ));
    }

    /// Presses the reset button; other than a reset that the machine asks for, which ends QEMU, this
    /// starts it anew.
    pub fn reset(&self) {
        self.execute(r#"{"execute": "set-action", "arguments": {"reboot": "reset"}}"#);
        self.execute(r#"{"execute": "system_reset"}"#);
    }

    /// Sends one command and waits for its answer; greetings and events are passed over.
    fn execute(&self, command: &str) {
        let mut stream = self.stream.lock().unwrap();
        stream.get_mut().write_all(command.as_bytes()).expect("QEMU is there");
        let mut line = String::new();
        while !line.contains("\"return\"") {
            assert!(!line.contains("\"error\""), "QEMU refused {command}: {line}");
            line.clear();
            let length = stream.read_line(&mut line).expect("QEMU answers");
            assert!(length > 0, "QEMU ended instead of answering {command}");
        }
    }
}
