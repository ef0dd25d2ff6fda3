use crate::random::Random;
use std::collections::HashMap;

/// `n` numbers of `0..of` in random order, all different where there are enough of them.
pub(super) fn drawn(n: usize, of: usize, random: &mut Random) -> Vec<usize> {
    if n > of {
        return (0..n).map(|_| random.below(of)).collect();
    }
    // The first places of a shuffled 0..of, of which only what was exchanged is kept.
    let mut moved = HashMap::new();
    let draw = |place| {
        let other = place + random.below(of - place);
        let own = moved.get(&place).copied().unwrap_or(place);
        moved.insert(other, own).unwrap_or(other)
    };
    (0..n).map(draw).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_distinct_where_there_are_enough() {
        for n in [0, 1, 7, 20] {
            let mut rows = drawn(n, 20, &mut Random::new(3, "rows", 5));
            rows.sort_unstable();
            rows.dedup();
            assert_eq!(rows.len(), n);
            assert!(rows.iter().all(|&row| row < 20));
        }
        let rows = drawn(50, 4, &mut Random::new(3, "rows", 5));
        assert_eq!(rows.len(), 50);
        assert!((0..4).all(|row| rows.contains(&row)));
    }

    #[test]
    fn a_shuffle_reaches_every_order() {
        let mut orders: Vec<_> = (0..200).map(|index| drawn(3, 3, &mut Random::new(0, "order", index))).collect();
        orders.sort_unstable();
        orders.dedup();
        assert_eq!(orders.len(), 6);
    }
}
