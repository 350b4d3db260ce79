//! Chance from a seed: the same numbers on every machine.
//!
//! A logarithm is a library's, and its last bit is not promised; so exponential times are drawn as
//! von Neumann did ("Various techniques used in connection with random digits", 1951), by
//! comparisons alone: the run of falling numbers that begins with x has an odd length with
//! probability e⁻ˣ.

/// splitmix64.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Streams of one seed that have nothing to do with one another.
    pub fn new(seed: u64, stream: u64) -> Random {
        let mut random = Random(seed ^ stream.rotate_left(32));
        random.bits();
        random
    }

    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to 1, without 1.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.bits()) * bound as u128) >> 64) as usize
    }

    pub fn chance(&mut self, percent: u32) -> bool {
        self.unit() * 100.0 < f64::from(percent)
    }

    /// Exponential, with mean 1.
    pub fn exponential(&mut self) -> f64 {
        let mut whole = 0.0;
        loop {
            let first = self.unit();
            let (mut last, mut falling) = (first, 1);
            loop {
                let next = self.unit();
                if next >= last {
                    break;
                }
                (last, falling) = (next, falling + 1);
            }
            if falling % 2 == 1 {
                return whole + first;
            }
            whole += 1.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_times_have_the_mean_and_the_tail_of_an_exponential() {
        let mut random = Random::new(1, 0);
        let times: Vec<f64> = (0..200_000).map(|_| random.exponential()).collect();
        let mean = times.iter().sum::<f64>() / times.len() as f64;
        assert!((mean - 1.0).abs() < 0.01, "{mean}");
        // e^-1, e^-2, e^-4.
        for (beyond, part) in [(1.0, 0.36788), (2.0, 0.13534), (4.0, 0.01832)] {
            let seen = times.iter().filter(|&&time| time > beyond).count() as f64;
            let seen = seen / times.len() as f64;
            assert!((seen / part - 1.0).abs() < 0.04, "beyond {beyond}: {seen}, not {part}");
        }
    }

    #[test]
    fn streams_of_one_seed_differ_and_repeat() {
        let first = |seed, stream| Random::new(seed, stream).bits();
        assert_eq!(first(1, 2), first(1, 2));
        assert_ne!(first(1, 2), first(1, 3));
        assert_ne!(first(1, 2), first(2, 2));
    }
}
