//! How often a port may report: enough for every honest agent, too seldom to cost anything.

use core::time::Duration;

use crate::Instant;

/// Lets at most 100 reports through in any second: 20 at once, then one every 12.5 ms.
#[derive(Clone, Copy, Debug)]
pub struct RateLimit {
    tokens: u32,
    /// When the tokens were last topped up.
    at: Instant,
}

impl RateLimit {
    const TOKENS_MAX: u32 = 20;
    const REFILL: Duration = Duration::from_micros(12_500);

    /// Takes a token, if there is one.
    pub fn allows(&mut self, now: Instant) -> bool {
        self.refill(now);
        let allowed = self.tokens > 0;
        self.tokens = self.tokens.saturating_sub(1);
        allowed
    }

    fn refill(&mut self, now: Instant) {
        let tokens = now.since(self.at).as_nanos() / Self::REFILL.as_nanos();
        if tokens >= u128::from(Self::TOKENS_MAX - self.tokens) {
            self.tokens = Self::TOKENS_MAX;
            self.at = self.at.max(now);
        } else {
            // The part of a token that has passed stays with the next one.
            self.tokens += tokens as u32;
            self.at = self.at + Self::REFILL * tokens as u32;
        }
    }
}

impl Default for RateLimit {
    fn default() -> Self {
        RateLimit { tokens: Self::TOKENS_MAX, at: Instant::START }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l7_a_flood_of_reports_passes_at_most_a_hundred_a_second() {
        let mut limit = RateLimit::default();
        let mut passed = std::vec::Vec::new();
        for us in (0..3_000_000u64).step_by(10) {
            if limit.allows(Instant::from_nanos(us * 1_000)) {
                passed.push(us);
            }
        }
        assert_eq!(passed.len(), 20 + 3 * 80 - 1);
        let busiest = passed.iter().map(|&from| {
            passed.iter().filter(|&&us| (from..from + 1_000_000).contains(&us)).count()
        });
        assert!(busiest.max() <= Some(100));
    }

    #[test]
    fn an_honest_agent_is_never_held_back() {
        let mut limit = RateLimit::default();
        for report in 0..1_000 {
            for service in 0..4 {
                assert!(limit.allows(Instant::from_millis(report * 500 + service)));
            }
        }
    }

    #[test]
    fn a_clock_that_steps_back_gives_nothing() {
        let mut limit = RateLimit::default();
        for _ in 0..20 {
            assert!(limit.allows(Instant::from_millis(5_000)));
        }
        assert!(!limit.allows(Instant::from_millis(1)));
        assert!(!limit.allows(Instant::from_millis(5_012)));
        assert!(limit.allows(Instant::from_millis(5_013)));
    }
}
