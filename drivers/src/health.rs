//! How a port is, and when its device begins again: the same for every device.
//!
//! ```text
//!                fault: the device is stopped at once, frames stay where they are
//!   running ────────────────────────────────────▶ broken
//!      ▲                                            │ it is seen to have stopped: frames to the pool
//!      └──── 1, 2, 4 … 60 s later: it begins again ─┘
//! ```
//!
//! After a minute without a fault the waiting time begins at one second again. All of these times
//! are counted in steps of at most a second, so a clock that jumps, because the whole machine was
//! stopped, neither breaks a port nor hurries a reset.

use crate::nic::{Fault, NicCounters};

/// How often a device's registers are looked at.
const LOOK_PERIOD_MS: u64 = 100;
/// Without progress for so long, transmission stands still: counted.
const TX_STALL_MS: u64 = 2_000;
/// And for so long, it hangs. A wire takes frames at any time, unless its far end asks for a pause.
const TX_HANG_MS: u64 = 5_000;
const BACKOFF_MIN_MS: u64 = 1_000;
const BACKOFF_MAX_MS: u64 = 60_000;
/// Running for so long without a fault, a port has its past forgiven.
const STEADY_MS: u64 = 60_000;
/// The most that passes between two steps, whatever the clock says.
const STEP_MAX_MS: u64 = 1_000;

pub struct Health {
    state: State,
    /// How long the next outage lasts.
    backoff_ms: u64,
    /// The last time that was told.
    told_ms: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Running(Watch),
    Broken(Outage),
}

/// What is observed of a device that works.
#[derive(Clone, Copy, Debug, Default)]
struct Watch {
    running_ms: u64,
    since_look_ms: u64,
    /// The device has announced a change.
    changed: bool,
    /// How far transmission was, and for how long it has been there with frames waiting.
    progress: u16,
    stalled_ms: u64,
}

#[derive(Clone, Copy, Debug)]
struct Outage {
    fault: Fault,
    /// The device has stopped, and the frames are back in the pool.
    quiet: bool,
    left_ms: u64,
}

/// What a device needs in this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Care {
    /// It works; so much time has passed.
    Watch { step_ms: u64 },
    /// It was told to stop: see whether it has.
    Settle,
    /// It has stopped, and rests.
    Rest,
    /// It has rested: begin again.
    Restart,
    /// It should have stopped long ago.
    Overdue,
}

/// How transmission stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sending {
    /// A number that changes with every frame that was sent.
    pub progress: u16,
    /// Whether there are frames that the device could send.
    pub waits: bool,
}

impl Health {
    pub fn new() -> Health {
        let state = State::Running(Watch::default());
        Health { state, backoff_ms: BACKOFF_MIN_MS, told_ms: None }
    }

    pub fn fault(&self) -> Option<Fault> {
        match self.state {
            State::Running(_) => None,
            State::Broken(outage) => Some(outage.fault),
        }
    }

    pub fn is_broken(&self) -> bool {
        self.fault().is_some()
    }

    /// The device broke a rule and was told to stop.
    pub fn fail(&mut self, fault: Fault, counters: &mut NicCounters) {
        counters.faults += 1;
        self.state = State::Broken(Outage { fault, quiet: false, left_ms: self.backoff_ms });
        self.backoff_ms = (2 * self.backoff_ms).min(BACKOFF_MAX_MS);
    }

    /// The device has stopped.
    pub fn settled(&mut self) {
        if let State::Broken(outage) = &mut self.state {
            outage.quiet = true;
        }
    }

    /// The device has begun again.
    pub fn recovered(&mut self) {
        self.state = State::Running(Watch::default());
    }

    /// The device has something to say: the next look is due.
    pub fn announce(&mut self) {
        if let State::Running(watch) = &mut self.state {
            watch.changed = true;
        }
    }

    /// Lets time pass.
    pub fn pass(&mut self, now_ms: u64) -> Care {
        let before_ms = self.told_ms.replace(now_ms).unwrap_or(now_ms);
        let step_ms = now_ms.saturating_sub(before_ms).min(STEP_MAX_MS);
        match &mut self.state {
            State::Running(watch) => {
                watch.running_ms = watch.running_ms.saturating_add(step_ms);
                watch.since_look_ms += step_ms;
                if watch.running_ms >= STEADY_MS {
                    self.backoff_ms = BACKOFF_MIN_MS;
                }
                Care::Watch { step_ms }
            }
            State::Broken(outage) => {
                outage.left_ms = outage.left_ms.saturating_sub(step_ms);
                match (outage.quiet, outage.left_ms) {
                    (true, 0) => Care::Restart,
                    (true, _) => Care::Rest,
                    (false, 0) => Care::Overdue,
                    (false, _) => Care::Settle,
                }
            }
        }
    }

    /// Whether the device's registers are to be looked at again.
    pub fn is_look_due(&mut self) -> bool {
        let State::Running(watch) = &mut self.state else { return false };
        let is_due = watch.changed || watch.since_look_ms >= LOOK_PERIOD_MS;
        if is_due {
            (watch.changed, watch.since_look_ms) = (false, 0);
        }
        is_due
    }

    /// Whether transmission goes on.
    pub fn watch_sending(
        &mut self,
        sending: Sending,
        step_ms: u64,
        counters: &mut NicCounters,
    ) -> Result<(), Fault> {
        let State::Running(watch) = &mut self.state else { return Ok(()) };
        if !sending.waits || sending.progress != watch.progress {
            (watch.progress, watch.stalled_ms) = (sending.progress, 0);
            return Ok(());
        }
        let before_ms = watch.stalled_ms;
        watch.stalled_ms += step_ms;
        if before_ms < TX_STALL_MS && watch.stalled_ms >= TX_STALL_MS {
            counters.tx_stall += 1;
        }
        if watch.stalled_ms >= TX_HANG_MS { Err(Fault::TxStall) } else { Ok(()) }
    }
}
