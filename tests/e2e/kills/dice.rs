//! Randomness that can be had again: every run says its seed, and `TIDEWAITER_TEST_SEED` repeats it.

use std::time::{SystemTime, UNIX_EPOCH};

/// Marsaglia's xorshift64, good enough to choose victims.
pub(super) struct Dice(u64);

impl Dice {
    /// Seeded by the environment or the clock.
    pub(super) fn of_the_day() -> Self {
        let given = std::env::var("TIDEWAITER_TEST_SEED").ok().and_then(|text| text.parse().ok());
        let seed = given.unwrap_or_else(|| {
            SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_nanos() as u64)
        });
        eprintln!("TIDEWAITER_TEST_SEED={seed}");
        Self::seeded(seed)
    }

    /// The same numbers for the same seed.
    pub(super) fn seeded(seed: u64) -> Self {
        let mut dice = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        dice.next();
        dice
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// From 0 to `end - 1`.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Puts things into any order.
    pub(super) fn shuffle<T>(&mut self, things: &mut [T]) {
        for left in (1..things.len()).rev() {
            let chosen = self.below(left as u64 + 1) as usize;
            things.swap(left, chosen);
        }
    }

    /// Bytes that do not compress.
    pub(super) fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_exact_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes());
        }
    }
}
