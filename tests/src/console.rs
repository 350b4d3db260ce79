//! One of the appliance's consoles: keys in, text out.
//!
//! The wire is QEMU's standard input and output unless a test wants another one: pipes, which hold
//! 64 KiB, where a socket is full after some hundred single bytes. A thread reads all the time, since
//! a serial port nobody reads loses what it says. Tests wait for a text from where they last looked,
//! or use script mode, where every command is answered by its output and a closing line.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::LIMIT;

pub struct Console {
    keyboard: Mutex<Box<dyn Write + Send>>,
    screen: Arc<Screen>,
}

#[derive(Default)]
struct Screen {
    said: Mutex<Said>,
    grown: Condvar,
    /// Held by whoever looks away.
    eyes: Mutex<()>,
}

#[derive(Default)]
struct Said {
    text: String,
    /// What lies before this the test has already seen.
    seen: usize,
    ended: bool,
}

impl Console {
    pub(crate) fn new(
        keyboard: impl Write + Send + 'static,
        output: impl Read + Send + 'static,
    ) -> Console {
        let screen = Arc::new(Screen::default());
        let written = screen.clone();
        std::thread::spawn(move || written.fill(output));
        Console { keyboard: Mutex::new(Box::new(keyboard)), screen }
    }

    /// A console at the far end of a socket.
    pub fn over(stream: UnixStream) -> Console {
        Console::new(stream.try_clone().expect("a descriptor is free"), stream)
    }

    /// Keys, as they are.
    #[track_caller]
    pub fn press(&self, keys: &str) {
        self.press_bytes(keys.as_bytes());
    }

    /// Bytes that need not be text.
    #[track_caller]
    pub fn press_bytes(&self, keys: &[u8]) {
        let written = self.keyboard.lock().unwrap().write_all(keys);
        written.expect("the appliance has a console");
    }

    /// Until the guard is dropped nobody reads what the console says, beyond what a last look and
    /// the wire take.
    pub fn look_away(&self) -> MutexGuard<'_, ()> {
        self.screen.eyes.lock().unwrap()
    }

    /// Waits for `text` and gives what came before it since the last look.
    #[track_caller]
    pub fn wait_for(&self, text: &str) -> String {
        match self.screen.wait_for(text, LIMIT) {
            Ok(before) => before,
            Err(said) => panic!("the console did not say {text:?} but {said:?}"),
        }
    }

    /// Whether `text` comes before the time is over, for those who only want to know.
    pub fn says_within(&self, limit: Duration, text: &str) -> bool {
        self.screen.wait_for(text, limit).is_ok()
    }

    /// Presses Enter until there is a prompt: what is said before anybody is there may be lost.
    #[track_caller]
    pub fn await_prompt(&self) {
        let is_there = |_: &u32| {
            self.press("\r");
            self.says_within(Duration::from_millis(500), "fulcrum> ")
        };
        assert!((0..40).any(|round| is_there(&round)), "no prompt: {}", self.transcript());
    }

    /// From here on [`Console::command`] may be used.
    #[track_caller]
    pub fn script_mode(&self) {
        self.press("terminal script on\r");
        self.wait_for("% OK\r\n");
    }

    /// In script mode: a command that is obeyed, and what it says.
    #[track_caller]
    pub fn command(&self, line: &str) -> String {
        match self.ask(line) {
            Ok(answer) => answer,
            Err(refusal) => panic!("'{line}' was refused: {refusal}"),
        }
    }

    /// Gives the next line, without its end.
    #[track_caller]
    pub fn line(&self) -> String {
        self.wait_for("\n").trim_end_matches('\r').to_string()
    }

    /// In script mode: a command, and what it says; `Err` if it was refused.
    #[track_caller]
    pub fn ask(&self, line: &str) -> Result<String, String> {
        self.press(line);
        self.press("\r");
        let mut answer = String::new();
        loop {
            match &*self.line() {
                "% OK" => return Ok(answer),
                "% FAILED" => return Err(answer),
                line => answer.extend([line, "\n"]),
            }
        }
    }

    /// Repeats a command until its answer satisfies; gives that answer.
    #[track_caller]
    pub fn command_until(&self, line: &str, satisfied: impl Fn(&str) -> bool) -> String {
        let end = Instant::now() + LIMIT;
        loop {
            let answer = self.command(line);
            if satisfied(&answer) {
                return answer;
            }
            assert!(Instant::now() < end, "'{line}' went on saying:\n{answer}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// All that was ever said.
    pub fn transcript(&self) -> String {
        self.screen.said.lock().unwrap().text.clone()
    }
}

/// The number that follows a word in a table.
pub fn number_after(table: &str, word: &str) -> Option<u64> {
    let mut words = table.split_whitespace().skip_while(|found| *found != word).skip(1);
    words.next()?.parse().ok()
}

impl Screen {
    fn fill(&self, mut reader: impl Read) {
        let mut buffer = [0; 4096];
        // A character may come in two pieces.
        let mut open = Vec::new();
        loop {
            let length = reader.read(&mut buffer).unwrap_or(0);
            drop(self.eyes.lock());
            open.extend_from_slice(&buffer[..length]);
            let whole = match std::str::from_utf8(&open) {
                Err(error) if error.error_len().is_none() && length > 0 => error.valid_up_to(),
                _ => open.len(),
            };
            let text: Vec<u8> = open.drain(..whole).collect();
            let mut said = self.said.lock().unwrap();
            said.text.push_str(&String::from_utf8_lossy(&text));
            said.ended = length == 0;
            self.grown.notify_all();
            if said.ended {
                return;
            }
        }
    }

    /// What was said before `text`, or, when it never comes, all that was said instead.
    fn wait_for(&self, text: &str, limit: Duration) -> Result<String, String> {
        let end = Instant::now() + limit;
        let mut said = self.said.lock().unwrap();
        // Before this it does not begin: a long answer comes in many pieces.
        let mut looked = said.seen;
        loop {
            if let Some(at) = said.text[looked..].find(text) {
                let before = said.text[said.seen..looked + at].to_string();
                said.seen = looked + at + text.len();
                return Ok(before);
            }
            let left = end.saturating_duration_since(Instant::now());
            if said.ended || left.is_zero() {
                return Err(said.text[said.seen..].to_string());
            }
            let may_begin = said.text.len().saturating_sub(text.len());
            looked = said.text.floor_char_boundary(may_begin).max(said.seen);
            said = self.grown.wait_timeout(said, left).unwrap().0;
        }
    }
}
