//! Whose turn it is: the order in which lanes are asked for the next job.
//!
//! Pure: a count of jobs taken in, an order of lanes out. Strict priority would let a stream of pushes
//! starve sweeps for ever, so lower lanes are asked first now and then: of 16 jobs taken while all lanes
//! are full, 12 are urgent, 3 are pushes and 1 is background work.

use crate::model::job::Lane;

/// Counts the jobs taken and says which lanes to ask first for the next one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Turns(u8);

impl Turns {
    /// The lanes in the order in which they are to be asked now.
    pub(crate) fn order(self) -> [Lane; 3] {
        if self.0 % 16 == 15 {
            [Lane::Background, Lane::Urgent, Lane::Push]
        } else if self.0 % 4 == 3 {
            [Lane::Push, Lane::Urgent, Lane::Background]
        } else {
            Lane::ALL
        }
    }

    /// A job was taken, from whichever lane.
    pub(crate) fn taken(&mut self) {
        self.0 = self.0.wrapping_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_lane_gets_its_share_of_a_full_queue() {
        let mut turns = Turns::default();
        let mut first = Vec::new();
        for _ in 0..256 {
            first.push(turns.order()[0]);
            turns.taken();
        }
        let share = |lane| first.iter().filter(|first| **first == lane).count();
        assert_eq!(Lane::ALL.map(share), [192, 48, 16]);
        assert_eq!(first[..3], [Lane::Urgent; 3]);
    }

    #[test]
    fn every_order_asks_every_lane() {
        let mut turns = Turns::default();
        for _ in 0..256 {
            let mut order = turns.order();
            order.sort();
            assert_eq!(order, Lane::ALL);
            turns.taken();
        }
    }
}
