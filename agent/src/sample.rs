//! Two readings of the kernel's counters make the numbers of a report.
//!
//! `cpu` is the time that was worked of the time there was. A full CPU can say no more than 1, so
//! the time in which a task waited for its turn is added, in proportion to how full it was: a
//! guest with a queue reads up to 2. The kernel's pressure (PSI) measures that wait; without it
//! the tasks that are runnable beyond one a CPU stand in for it.
//!
//! `io` is the time in which a task waited for I/O or for memory, whichever is more: a guest that
//! reclaims or swaps works as little as one whose disk is slow, and its CPU looks idle. Only the
//! kernel's pressure measures either; without it the idle time with I/O outstanding has to do.
//! `mem` stays what is occupied, and says nothing of whether that hurts.
//!
//! The counters are totals since boot, so what is read is exactly the time between two reports,
//! unlike load averages, which look minutes back.

use std::fs;
use std::time::{Duration, Instant};

use lb::guest::report::{Fraction, Numbers};

use crate::procfs::{self, CpuTimes};

/// One reading.
pub struct Sample {
    taken: Instant,
    cpu: CpuTimes,
    cpu_stalled_us: Option<u64>,
    io_stalled_us: Option<u64>,
    memory_stalled_us: Option<u64>,
    runnable: Option<u32>,
    memory_kib: Option<(u64, u64)>,
}

impl Sample {
    /// Fails without `/proc/stat` only; the rest may be missing.
    pub fn take() -> Result<Sample, String> {
        let stat = fs::read_to_string("/proc/stat")
            .map_err(|error| format!("cannot read /proc/stat: {error} (is /proc mounted?)"))?;
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        Ok(Sample {
            taken: Instant::now(),
            cpu: procfs::cpu_times(&stat).ok_or("/proc/stat has no line 'cpu'")?,
            cpu_stalled_us: procfs::stalled_us(&read("/proc/pressure/cpu")),
            io_stalled_us: procfs::stalled_us(&read("/proc/pressure/io")),
            memory_stalled_us: procfs::stalled_us(&read("/proc/pressure/memory")),
            runnable: procfs::runnable(&read("/proc/loadavg")),
            memory_kib: procfs::memory_kib(&read("/proc/meminfo")),
        })
    }

    /// What happened between two readings.
    pub fn since(&self, before: &Sample) -> Numbers {
        let elapsed = self.taken.saturating_duration_since(before.taken);
        // Counters can step back a little (iowait does), or start anew after a CPU came on line.
        let ticks = |of: fn(&CpuTimes) -> u64| of(&self.cpu).saturating_sub(of(&before.cpu));
        let busy = ticks(|cpu| cpu.busy);
        let io_wait = ticks(|cpu| cpu.io_wait);
        let steal = ticks(|cpu| cpu.steal);
        let all = busy + ticks(|cpu| cpu.idle) + io_wait + steal;
        let mut numbers = Numbers {
            mem: self.memory_kib.map(|(used, total)| thousandths(used, total)),
            ..Numbers::default()
        };
        // An interval without a tick says nothing about the CPU.
        if all > 0 {
            let wait = stalled(self.cpu_stalled_us, before.cpu_stalled_us, elapsed)
                .unwrap_or_else(|| self.crowd());
            let busy = u128::from(busy) * (1_000_000 + u128::from(wait.millionths()));
            numbers.cpu = Some(thousandths(busy as u64, all * 1_000_000));
            numbers.steal = Some(thousandths(steal, all));
            let io = stalled(self.io_stalled_us, before.io_stalled_us, elapsed)
                .unwrap_or_else(|| thousandths(io_wait, all));
            let memory = stalled(self.memory_stalled_us, before.memory_stalled_us, elapsed);
            numbers.io = Some(io.max(memory.unwrap_or_default()));
        }
        numbers
    }

    /// Tasks that want a CPU and have none, over the CPUs; this process, which runs, aside.
    fn crowd(&self) -> Fraction {
        let others = self.runnable.unwrap_or(0).saturating_sub(1);
        let waiting = others.saturating_sub(self.cpu.cpus);
        thousandths(waiting.into(), self.cpu.cpus.into()).min(Fraction::ONE)
    }
}

/// The part of `elapsed` in which a task waited, if the kernel says so.
fn stalled(after_us: Option<u64>, before_us: Option<u64>, elapsed: Duration) -> Option<Fraction> {
    let us = after_us?.saturating_sub(before_us?);
    Some(thousandths(us, elapsed.as_micros() as u64).min(Fraction::ONE))
}

/// A ratio with three places: more are noise, and the line stays short.
fn thousandths(part: u64, whole: u64) -> Fraction {
    Fraction::from_millionths(u64::from(Fraction::ratio(part, whole).millionths()) / 1000 * 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64, cpu: CpuTimes, start: Instant) -> Sample {
        Sample {
            taken: start + Duration::from_millis(ms),
            cpu,
            cpu_stalled_us: None,
            io_stalled_us: None,
            memory_stalled_us: None,
            runnable: None,
            memory_kib: None,
        }
    }

    fn cpu(busy: u64, idle: u64, io_wait: u64, steal: u64) -> CpuTimes {
        CpuTimes { busy, idle, io_wait, steal, cpus: 2 }
    }

    fn printed(fraction: Option<Fraction>) -> String {
        fraction.map_or("-".into(), |fraction| fraction.to_string())
    }

    #[test]
    fn parts_of_the_time_between_two_readings() {
        let start = Instant::now();
        let before = at(0, cpu(1_000, 5_000, 10, 0), start);
        let mut after = at(500, cpu(1_042, 5_045, 20, 3), start);
        after.memory_kib = Some((550, 1_000));
        let numbers = after.since(&before);
        assert_eq!(printed(numbers.cpu), "0.42");
        assert_eq!(printed(numbers.steal), "0.03");
        assert_eq!(printed(numbers.io), "0.1");
        assert_eq!(printed(numbers.mem), "0.55");
        assert_eq!(numbers.app, None);
    }

    #[test]
    fn waiting_tasks_lift_a_busy_cpu_above_one_and_an_idle_one_hardly() {
        let start = Instant::now();
        let numbers = |busy: u64, stalled_ms: u64| {
            let mut before = at(0, cpu(0, 0, 0, 0), start);
            let mut after = at(500, cpu(busy, 100 - busy, 0, 0), start);
            (before.cpu_stalled_us, after.cpu_stalled_us) = (Some(7), Some(7 + stalled_ms * 1000));
            printed(after.since(&before).cpu)
        };
        assert_eq!(numbers(100, 0), "1");
        assert_eq!(numbers(100, 250), "1.5");
        assert_eq!(numbers(100, 900), "2");
        assert_eq!(numbers(10, 250), "0.15");
    }

    #[test]
    fn without_pressure_the_runnable_tasks_count() {
        let start = Instant::now();
        let numbers = |runnable| {
            let mut after = at(500, cpu(100, 0, 0, 0), start);
            after.runnable = runnable;
            printed(after.since(&at(0, cpu(0, 0, 0, 0), start)).cpu)
        };
        assert_eq!(numbers(None), "1");
        assert_eq!(numbers(Some(3)), "1", "this process and one on each CPU");
        assert_eq!(numbers(Some(4)), "1.5");
        assert_eq!(numbers(Some(40)), "2");
    }

    #[test]
    fn pressure_of_io_outranks_the_idle_time_with_io() {
        let start = Instant::now();
        let mut before = at(0, cpu(0, 0, 0, 0), start);
        let mut after = at(500, cpu(10, 80, 10, 0), start);
        (before.io_stalled_us, after.io_stalled_us) = (Some(0), Some(125_000));
        assert_eq!(printed(after.since(&before).io), "0.25");
    }

    #[test]
    fn a_guest_that_waits_for_memory_waits() {
        let start = Instant::now();
        let io = |io_ms: Option<u64>, memory_ms: u64| {
            let mut before = at(0, cpu(0, 0, 0, 0), start);
            let mut after = at(500, cpu(10, 80, 10, 0), start);
            (before.io_stalled_us, after.io_stalled_us) =
                (io_ms.map(|_| 7), io_ms.map(|ms| 7 + ms * 1000));
            (before.memory_stalled_us, after.memory_stalled_us) =
                (Some(9), Some(9 + memory_ms * 1000));
            printed(after.since(&before).io)
        };
        assert_eq!(io(Some(50), 200), "0.4");
        assert_eq!(io(Some(200), 50), "0.4");
        assert_eq!(io(None, 200), "0.4");
        assert_eq!(io(None, 0), "0.1", "the idle time with I/O");
    }

    #[test]
    fn counters_that_stand_still_or_step_back_say_nothing() {
        let start = Instant::now();
        let before = at(0, cpu(1_000, 5_000, 10, 0), start);
        assert_eq!(at(1, cpu(1_000, 5_000, 10, 0), start).since(&before), Numbers::default());
        let numbers = at(500, cpu(1_050, 5_050, 3, 0), start).since(&before);
        assert_eq!((printed(numbers.cpu), printed(numbers.io)), ("0.5".into(), "0".into()));
    }

    #[test]
    fn this_machine_can_be_read() {
        let before = Sample::take().unwrap();
        std::thread::sleep(Duration::from_millis(60));
        let numbers = Sample::take().unwrap().since(&before);
        let cpu = numbers.cpu.expect("60 ms have ticks");
        assert!(cpu <= Fraction::from_millionths(2_000_000), "{cpu}");
        assert!(numbers.mem.is_some_and(|mem| mem > Fraction::ZERO && mem <= Fraction::ONE));
    }
}
