use super::DataError;
use super::key::Key;

/// How many items a shuffle holds before it gives its first, where it may hold as many.
const N_INITIAL: usize = 100;

/// A buffer from which a random item leaves whenever one is needed, as in `WebDataset`: it starts to give with 100 items
/// and grows by one with every item given until it is full.
#[derive(Debug)]
pub(super) struct Shuffle<T> {
    key: Key,
    capacity: usize,
    items: Vec<T>,
    n_given: u64,
}

impl<T> Shuffle<T> {
    pub(super) fn new(key: Key, capacity: usize) -> Self {
        Self { key, capacity, items: Vec::new(), n_given: 0 }
    }

    /// A random item, once enough of them are drawn from behind.
    pub(super) fn next(&mut self, mut draw: impl FnMut() -> Result<T, DataError>) -> Result<T, DataError> {
        loop {
            self.items.push(draw()?);
            if self.items.len() < self.capacity {
                self.items.push(draw()?);
            }
            if self.items.len() >= N_INITIAL.min(self.capacity) {
                break;
            }
        }
        let at = self.key.below(self.n_given, self.items.len());
        self.n_given += 1;
        Ok(self.items.swap_remove(at))
    }

    /// What waits in the buffer.
    pub(super) fn items(&self) -> &[T] {
        &self.items
    }

    /// How many items have left.
    pub(super) fn n_given(&self) -> u64 {
        self.n_given
    }

    /// Goes back to what a position says.
    pub(super) fn restore(&mut self, items: Vec<T>, n_given: u64) {
        (self.items, self.n_given) = (items, n_given);
    }
}

#[cfg(test)]
mod tests {
    use super::{Key, Shuffle};

    fn shuffled(capacity: usize, n: usize) -> Vec<usize> {
        let mut shuffle = Shuffle::new(Key::new("test", "", 0, 0), capacity);
        let mut source = 0..;
        (0..n).map(|_| shuffle.next(|| Ok(source.next().expect("endless"))).expect("endless")).collect()
    }

    #[test]
    fn one_item_is_no_shuffle() {
        assert_eq!(shuffled(1, 5), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn items_leave_once_and_not_far_from_their_place() {
        let capacity = 1000;
        let given = shuffled(capacity, 20_000);
        let mut sorted = given.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), given.len());
        // In a full buffer, the number of draws that an item waits for is geometric: mean and deviation are its size.
        let waits: Vec<f64> =
            given.iter().enumerate().skip(5000).map(|(at, &item)| at as f64 + 1000.0 - item as f64).collect();
        let mean = waits.iter().sum::<f64>() / waits.len() as f64;
        let deviation = (waits.iter().map(|wait| (wait - mean).powi(2)).sum::<f64>() / waits.len() as f64).sqrt();
        assert!((mean - 1000.0).abs() < 50.0 && (deviation - 1000.0).abs() < 100.0, "{mean} {deviation}");
    }

    #[test]
    fn the_buffer_grows_while_it_gives() {
        let mut shuffle = Shuffle::new(Key::new("test", "", 0, 0), 1000);
        let mut n_drawn = 0;
        let mut next = |shuffle: &mut Shuffle<i32>| {
            let mut draw = || {
                n_drawn += 1;
                Ok(n_drawn)
            };
            shuffle.next(&mut draw).expect("endless");
        };
        next(&mut shuffle);
        assert_eq!(shuffle.items().len(), 99);
        (0..2000).for_each(|_| next(&mut shuffle));
        assert_eq!((shuffle.items().len(), shuffle.n_given()), (999, 2001));
        assert_eq!(n_drawn, 3000);
    }
}
