//! One life of a reporter: what was read from the kernel and what the operator wants become one
//! report after the other.

use std::hash::{BuildHasher, Hasher, RandomState};

use lb::report::{HealthWord, LoadReport, Ttl};
use lb::{AdminState, Name};

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
    pub fn next(&mut self) -> Result<LoadReport<'static>, String> {
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
        if self.want == Want::Drain {
            report.admin = Some(AdminState::Drain);
            // The word is to outlive the agent, which may be stopped before its guest is.
            report.ttl = Some(Ttl::MAX);
        }
        Ok(report)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_life_and_another() {
        let mut reporter = Reporter::new(None, Want::Serve).unwrap();
        let first = reporter.next().unwrap();
        assert_eq!((first.health, first.admin, first.ttl), (Some(HealthWord::Up), None, None));
        assert_eq!(first.seq, Some(1));
        assert_eq!(reporter.next_seq(), 2);
        let second = reporter.next().unwrap();
        assert_eq!((second.id, second.seq), (first.id, Some(2)));
        let other = Reporter::new(None, Want::Serve).unwrap().next().unwrap();
        assert_ne!(other.id, first.id);
    }

    #[test]
    fn a_drain_and_back() {
        let mut reporter = Reporter::new(None, Want::Drain).unwrap();
        let report = reporter.next().unwrap();
        assert_eq!((report.admin, report.ttl), (Some(AdminState::Drain), Some(Ttl::MAX)));
        reporter.set_want(Want::Serve);
        let report = reporter.next().unwrap();
        assert_eq!((report.admin, report.ttl), (None, None));
    }
}
