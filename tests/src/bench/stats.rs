//! What several runs add up to: medians and ranges, since a mean believes every outlier.

/// Runs of one figure.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Runs(Vec<f64>);

impl Runs {
    pub fn add(&mut self, value: f64) {
        let at = self.0.partition_point(|other| *other < value);
        self.0.insert(at, value);
    }

    /// In ascending order.
    pub fn values(&self) -> &[f64] {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Of an even number of runs, the mean of the two in the middle.
    pub fn median(&self) -> Option<f64> {
        let middle = self.0.len() / 2;
        let upper = *self.0.get(middle)?;
        Some(if self.0.len() % 2 == 1 { upper } else { (self.0[middle - 1] + upper) / 2.0 })
    }

    pub fn least(&self) -> Option<f64> {
        self.0.first().copied()
    }

    pub fn most(&self) -> Option<f64> {
        self.0.last().copied()
    }
}

impl FromIterator<f64> for Runs {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Runs {
        let mut runs = Runs::default();
        values.into_iter().for_each(|value| runs.add(value));
        runs
    }
}

/// The smallest value that at least so many per cent of all do not exceed.
pub fn percentile<T: Copy + Ord>(values: &mut [T], percent: usize) -> Option<T> {
    values.sort_unstable();
    let rank = (values.len() * percent).div_ceil(100);
    values.get(rank.max(1) - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_lie_in_the_middle() {
        for (values, expected) in [
            (&[][..], None),
            (&[7.0], Some((7.0, 7.0, 7.0))),
            (&[9.0, 1.0], Some((1.0, 5.0, 9.0))),
            (&[3.0, 100.0, 2.0], Some((2.0, 3.0, 100.0))),
            (&[4.0, 1.0, 3.0, 2.0], Some((1.0, 2.5, 4.0))),
        ] {
            let runs: Runs = values.iter().copied().collect();
            let found =
                runs.median().map(|median| (runs.least().unwrap(), median, runs.most().unwrap()));
            assert_eq!(found, expected, "{values:?}");
            assert_eq!(runs.is_empty(), values.is_empty());
        }
    }

    #[test]
    fn percentiles_are_values() {
        let mut values: Vec<u32> = (1..=200).rev().collect();
        for (percent, expected) in [(0, 1), (50, 100), (99, 198), (100, 200)] {
            assert_eq!(percentile(&mut values, percent), Some(expected));
        }
        assert_eq!(percentile(&mut [5], 99), Some(5));
        assert_eq!(percentile::<u32>(&mut [], 50), None);
    }
}
