//! What the kernel counts, out of the texts under `/proc`.
//!
//! Every reader takes a text and returns what it found, `None` if that is not there: kernels differ
//! (no PSI before 4.20 or when it is built out, no steal on bare metal) and a missing number is left
//! out of the report.

/// CPU time of all CPUs together since boot, in ticks (`/proc/stat`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuTimes {
    pub busy: u64,
    pub idle: u64,
    /// Idle while a task waited for I/O.
    pub io_wait: u64,
    /// Wanted, but the hypervisor ran something else.
    pub steal: u64,
    /// CPUs that are on line.
    pub cpus: u32,
}

/// `cpu user nice system idle iowait irq softirq steal guest guest_nice`, then a line a CPU.
/// Time for guests of this guest is part of `user` already.
pub fn cpu_times(stat: &str) -> Option<CpuTimes> {
    let sum = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let ticks: Vec<u64> = sum.split_ascii_whitespace().map_while(|n| n.parse().ok()).collect();
    let tick = |at: usize| ticks.get(at).copied().unwrap_or(0);
    let is_cpu = |line: &&str| {
        line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    (ticks.len() >= 4).then(|| CpuTimes {
        busy: tick(0) + tick(1) + tick(2) + tick(5) + tick(6),
        idle: tick(3),
        io_wait: tick(4),
        steal: tick(7),
        cpus: stat.lines().filter(is_cpu).count().max(1) as u32,
    })
}

/// Time in which at least one task waited, in µs since boot (`/proc/pressure/cpu`, `io`
/// or `memory`).
pub fn stalled_us(pressure: &str) -> Option<u64> {
    let some = pressure.lines().find_map(|line| line.strip_prefix("some "))?;
    some.split_ascii_whitespace().find_map(|word| word.strip_prefix("total="))?.parse().ok()
}

/// Tasks that run or want to, this process included (`/proc/loadavg`, `0.20 0.18 0.12 1/80 11206`).
pub fn runnable(loadavg: &str) -> Option<u32> {
    loadavg.split_ascii_whitespace().nth(3)?.split_once('/')?.0.parse().ok()
}

/// Memory that cannot be had without swapping, and all of it, in KiB (`/proc/meminfo`).
pub fn memory_kib(meminfo: &str) -> Option<(u64, u64)> {
    let of = |name: &str| {
        let value = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        value.split_ascii_whitespace().next()?.parse::<u64>().ok()
    };
    let total = of("MemTotal")?;
    Some((total.saturating_sub(of("MemAvailable")?), total))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "cpu  4705 150 1120 16250856 2518 11 31 77 9 0\n\
                        cpu0 2301 75 560 8125428 1259 5 15 38 4 0\n\
                        cpu1 2404 75 560 8125428 1259 6 16 39 5 0\n\
                        intr 8623 0 9\nctxt 119842\ncpufreq 7\nbtime 1700000000\n";

    #[test]
    fn cpu_times_of_all_cpus() {
        let times = cpu_times(STAT).unwrap();
        assert_eq!(times.busy, 4705 + 150 + 1120 + 11 + 31);
        assert_eq!((times.idle, times.io_wait, times.steal), (16_250_856, 2_518, 77));
        assert_eq!(times.cpus, 2);
    }

    #[test]
    fn an_old_kernel_counts_less() {
        let times = cpu_times("cpu  1 2 3 4\n").unwrap();
        assert_eq!(times, CpuTimes { busy: 6, idle: 4, io_wait: 0, steal: 0, cpus: 1 });
    }

    #[test]
    fn what_is_no_stat() {
        for text in ["", "cpu", "cpu  1 2 3\n", "cpu  a b c d\n", "cpu0 1 2 3 4\n"] {
            assert_eq!(cpu_times(text), None, "{text:?}");
        }
    }

    #[test]
    fn pressure() {
        let text = "some avg10=1.63 avg60=1.27 avg300=1.22 total=155911207\n\
                    full avg10=0.00 avg60=0.00 avg300=0.00 total=7\n";
        assert_eq!(stalled_us(text), Some(155_911_207));
        for text in ["", "full avg10=0 total=7\n", "some avg10=0\n", "some total=x\n"] {
            assert_eq!(stalled_us(text), None, "{text:?}");
        }
    }

    #[test]
    fn load() {
        assert_eq!(runnable("0.20 0.18 0.12 3/80 11206\n"), Some(3));
        for text in ["", "0.20 0.18 0.12", "0.20 0.18 0.12 3 80"] {
            assert_eq!(runnable(text), None, "{text:?}");
        }
    }

    #[test]
    fn memory() {
        let text = "MemTotal:        1000 kB\nMemFree:          100 kB\nMemAvailable:     400 kB\n";
        assert_eq!(memory_kib(text), Some((600, 1000)));
        assert_eq!(memory_kib("MemTotal: 1000 kB\n"), None);
        assert_eq!(memory_kib(""), None);
    }
}
