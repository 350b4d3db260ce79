//! From bytes to a scene.
//!
//! A step is a byte that says which, and a few that say how; all of them wrap around their choices.

mod commands;
mod stations;
mod twist;

use lb::guest::report::{Answer, LoadReport};
use lb::limits::REPORT_BYTES_MAX;

use super::stage::Stage;
use twist::Twist;

/// Longer scenes are cut: what takes more steps is found as well by more scenes.
const STEPS_MAX: usize = 48;
const FRAMES_MAX: usize = 16;

/// The bytes that are still to be read; zeros follow.
struct Script<'a> {
    rest: &'a [u8],
    /// What the next frame differs in.
    twist: Twist,
}

/// Frames as they are.
pub fn play_frames(stage: &mut Stage, bytes: &[u8]) {
    let mut script = Script::new(bytes);
    for _ in 0..FRAMES_MAX {
        if script.rest.is_empty() {
            break;
        }
        script.raw(stage);
        script.twist = Twist::default();
    }
    stage.finish();
}

/// Frames of known shapes, commands, and time.
pub fn play_sequence(stage: &mut Stage, bytes: &[u8]) {
    let mut script = Script::new(bytes);
    for _ in 0..STEPS_MAX {
        if script.rest.is_empty() {
            break;
        }
        script.step(stage);
    }
    stage.finish();
}

/// A report's text and value go both ways; so does an answer's.
pub fn play_report(line: &[u8]) {
    if let Ok(report) = LoadReport::parse(line) {
        let text = report.to_string();
        // One that says nothing that is known has no text.
        if (1..=REPORT_BYTES_MAX).contains(&text.len()) {
            assert_eq!(LoadReport::parse(text.as_bytes()).as_ref(), Ok(&report), "{text}");
        }
    }
    if let Ok(answer) = Answer::parse(line) {
        let text = answer.to_string();
        assert_eq!(Answer::parse(text.as_bytes()).as_ref(), Ok(&answer), "{text}");
    }
}

impl<'a> Script<'a> {
    fn new(bytes: &'a [u8]) -> Script<'a> {
        Script { rest: bytes, twist: Twist::default() }
    }

    fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }

    fn word(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(count.min(self.rest.len()));
        self.rest = rest;
        taken
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::from(self.byte()) % of.len()]
    }

    fn step(&mut self, stage: &mut Stage) {
        match self.byte() % 16 {
            0 | 1 => self.call(stage),
            2..=4 => self.along(stage),
            5 => self.error(stage),
            6 => self.arp(stage),
            7 => self.neighbor(stage),
            8 => self.packet(stage),
            9 => self.report(stage),
            10 => self.raw(stage),
            11 | 12 => self.command(stage),
            13 => self.pass(stage),
            14 => return self.patch(),
            _ => return self.owe(),
        }
        self.twist = Twist::default();
    }
}
