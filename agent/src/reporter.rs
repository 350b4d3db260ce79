//! One life of a reporter: what was read from the kernel, what the application says and what the
//! operator wants become one report after the other.

use std::hash::{BuildHasher, Hasher, RandomState};

use lb::guest::report::{HealthWord, LoadReport, Ttl};
use lb::{AdminState, Name};

use crate::app::AppWords;
use crate::sample::Sample;

pub struct Reporter {
    /// Tells the switch that a new life has begun.
    id: u64,
    seq: u32,
    service: Option<Name>,
    before: Sample,
    want: Want,
}

/// What the operator wants of this guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    Serve,
    Drain,
}

impl Reporter {
    pub fn new(service: Option<Name>, want: Want) -> Result<Reporter, String> {
        // The seed of a `RandomState` comes from the kernel; 32 bits of it are short to read.
        let id = RandomState::new().build_hasher().finish() >> 32;
        Ok(Reporter { id, seq: 0, service, before: Sample::take()?, want })
    }

    pub fn want(&self) -> Want {
        self.want
    }

    /// From the next report on.
    pub fn set_want(&mut self, want: Want) {
        self.want = want;
    }

    /// Of the next report.
    pub fn next_seq(&self) -> u32 {
        self.seq.wrapping_add(1)
    }

    /// Measures since the last report and writes the next one.
    pub fn next<'a>(&mut self, app: Option<&'a AppWords>) -> Result<LoadReport<'a>, String> {
        let sample = Sample::take()?;
        self.seq = self.next_seq();
        let mut report = LoadReport {
            health: Some(HealthWord::Up),
            id: Some(self.id),
            seq: Some(self.seq),
            service: self.service.clone(),
            numbers: sample.since(&self.before),
            ..LoadReport::default()
        };
        self.before = sample;
        if let Some(app) = app {
            app.speak(&mut report);
        }
        if self.want == Want::Drain {
            drain(&mut report);
        }
        Ok(report)
    }
}

/// What the operator wants outranks all but an application that wants even less. The word is to
/// outlive the agent, which may be stopped before its guest is, hence the longest `ttl` there is.
fn drain(report: &mut LoadReport<'_>) {
    report.admin = match report.admin {
        None | Some(AdminState::Ready | AdminState::Drain) => Some(AdminState::Drain),
        Some(AdminState::Maint) => Some(AdminState::Maint),
    };
    report.ttl = Some(Ttl::MAX);
}

#[cfg(test)]
mod tests {
    use super::*;
    use lb::limits::REPORT_BYTES_MAX;

    #[test]
    fn an_idle_life_and_another() {
        let mut reporter = Reporter::new(None, Want::Serve).unwrap();
        let first = reporter.next(None).unwrap();
        assert_eq!((first.health, first.admin, first.ttl), (Some(HealthWord::Up), None, None));
        assert_eq!(first.seq, Some(1));
        assert_eq!(reporter.next_seq(), 2);
        let second = reporter.next(None).unwrap();
        assert_eq!((second.id, second.seq), (first.id, Some(2)));
        let other = Reporter::new(None, Want::Serve).unwrap().next(None).unwrap();
        assert_ne!(other.id, first.id);
    }

    #[test]
    fn the_operator_outranks_an_application_that_wants_more() {
        let cases = [
            ("app=0.5", "drain"),
            ("down", "drain"),
            ("ready up", "drain"),
            ("drain", "drain"),
            ("maint", "maint"),
        ];
        for (line, admin) in cases {
            let app = AppWords::parse(line.as_bytes()).unwrap();
            let mut reporter = Reporter::new(None, Want::Drain).unwrap();
            let report = reporter.next(Some(&app)).unwrap();
            assert_eq!(report.admin.map(AdminState::as_str), Some(admin), "{line}");
            assert_eq!(report.ttl, Some(Ttl::MAX), "{line}");
            reporter.set_want(Want::Serve);
            let report = reporter.next(None).unwrap();
            assert_eq!((report.admin, report.ttl), (None, None), "{line}");
        }
    }

    #[test]
    fn the_longest_report_fits_its_line() {
        let longest = format!(
            "stopped maint weight:1000 maxconn:4294967295 app=99.999999 rif=4294967295 \
             lat=4294967295 p99=4294967295 qps=999999999.999 eps=999999999.999 #{}",
            "x".repeat(300)
        );
        let app = AppWords::parse(longest.as_bytes()).unwrap();
        let name = format!("s{}", "x".repeat(Name::BYTES_MAX - 1));
        let mut reporter = Reporter::new(Some(name.parse().unwrap()), Want::Drain).unwrap();
        reporter.id = u64::MAX;
        reporter.seq = u32::MAX - 1;
        let mut report = reporter.next(Some(&app)).unwrap();
        let most = Some(lb::guest::report::Fraction::from_millionths(99_999_999));
        report.numbers.cpu = most;
        report.numbers.mem = most;
        report.numbers.io = most;
        report.numbers.steal = most;
        let line = report.to_string();
        assert!(line.len() <= REPORT_BYTES_MAX, "{} bytes: {line}", line.len());
        assert_eq!(LoadReport::parse(line.as_bytes()), Ok(report));
    }
}
