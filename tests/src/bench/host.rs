//! What the host says of processes and of itself (proc(5)).

use std::fs;
use std::time::Duration;

/// The kernel counts time in these, whatever its own tick is.
const TICK: Duration = Duration::from_millis(10);

/// Time of all cores that was used, and of it by whom we know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    all: Duration,
    ours: Duration,
    /// Used, unused and stolen.
    total: Duration,
}

impl Used {
    /// `process` is a QEMU's.
    pub fn now(process: Option<u32>) -> Used {
        let (all, total) = machine_time(&fs::read_to_string("/proc/stat").unwrap_or_default());
        let own = cpu_time(std::process::id());
        Used { all, ours: own + process.map_or(Duration::ZERO, cpu_time), total }
    }

    /// What others took of all cores since then, in per cent; the hypervisor below us is one of them.
    pub fn others_since(self, before: Used) -> f64 {
        let others = (self.all - before.all).saturating_sub(self.ours.saturating_sub(before.ours));
        100.0 * others.as_secs_f64() / (self.total - before.total).as_secs_f64().max(1e-9)
    }
}

/// User and system time of a process (fields 14 and 15 of stat); none once it is gone.
pub fn cpu_time(process: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after_name.split_whitespace().skip(11).take(2);
    TICK * ticks.filter_map(|field| field.parse::<u32>().ok()).sum::<u32>()
}

/// Of a QEMU's memory, what its guest's memory of this size has in use, in KiB.
pub fn guest_memory_kib(process: u32, memory_mib: u32) -> Option<u64> {
    let smaps = fs::read_to_string(format!("/proc/{process}/smaps")).ok()?;
    resident_kib(&smaps, u64::from(memory_mib) * 1024)
}

/// Used and all time of the first line: user, nice, system, idle, iowait, irq, softirq, steal; what
/// guests use is in user already.
fn machine_time(stat: &str) -> (Duration, Duration) {
    let fields = stat.lines().next().unwrap_or_default().split_whitespace().skip(1).take(8);
    let ticks: Vec<u64> = fields.map(|field| field.parse().unwrap_or(0)).collect();
    let total: u64 = ticks.iter().sum();
    let unused: u64 = ticks.iter().skip(3).take(2).sum();
    let time = |ticks: u64| Duration::from_millis(ticks * TICK.as_millis() as u64);
    (time(total - unused), time(total))
}

/// The smallest mapping that has place for so much is the guest's memory: QEMU maps nothing else of
/// that size, but the kernel may have joined it with a small neighbour.
fn resident_kib(smaps: &str, size_kib: u64) -> Option<u64> {
    let value = |line: &str, name: &str| -> Option<u64> {
        line.strip_prefix(name)?.split_whitespace().next()?.parse().ok()
    };
    let mut mappings: Vec<(u64, u64)> = Vec::new();
    for line in smaps.lines() {
        if let Some(size) = value(line, "Size:") {
            mappings.push((size, 0));
        }
        if let (Some(resident), Some(mapping)) = (value(line, "Rss:"), mappings.last_mut()) {
            mapping.1 = resident;
        }
    }
    let guest = mappings.into_iter().filter(|(size, _)| *size >= size_kib).min();
    guest.map(|(_, resident)| resident)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_time_is_that_of_all_states() {
        let stat = "cpu  100 10 20 500 50 3 4 5 77 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n";
        assert_eq!(machine_time(stat), (TICK * 142, TICK * 692));
    }

    #[test]
    fn others_are_what_is_left() {
        let seconds = Duration::from_secs;
        let before = Used { all: seconds(10), ours: seconds(5), total: seconds(100) };
        let after = Used { all: seconds(15), ours: seconds(7), total: seconds(110) };
        assert_eq!(after.others_since(before), 30.0);
    }

    #[test]
    fn the_guests_memory_is_found_by_its_size() {
        let smaps = "7f00-7f01 rw-p 00000000 00:00 0\nSize:  1048580 kB\nRss:  9 kB\n\
                     7f02-7f03 rw-p 00000000 00:00 0\nSize:  262148 kB\nPss: 3 kB\nRss:  7000 kB\n\
                     7f04-7f05 rw-p 00000000 00:00 0\nSize:  4 kB\nRss:  4 kB\n";
        assert_eq!(resident_kib(smaps, 256 * 1024), Some(7000));
        assert_eq!(resident_kib(smaps, 2 * 1024 * 1024), None);
    }
}
