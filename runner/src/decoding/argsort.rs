/// Runs of at most this many elements are left to the final insertion sort.
const RUN: usize = 16;

/// The ascending order of `keys` as `torch.argsort` on the CPU gives it, equal keys included.
///
/// PyTorch 2.6 sorts floats with `std::sort` of libstdc++, which is not stable. Where keys are equal the published order
/// of positions is whatever that algorithm leaves, so this is that algorithm: quicksort on the median of three, heapsort
/// where it recurses too deep, and an insertion sort over the short runs that remain. NaN counts as equal to everything.
pub fn argsort(keys: &[f32]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..keys.len()).collect();
    if let Some(depth) = keys.len().checked_ilog2() {
        let sort = Sort { keys };
        sort.quicksort(&mut order, 2 * depth as usize);
        let n_first = order.len().min(RUN);
        sort.insertion_sort(&mut order, n_first);
    }
    order
}

struct Sort<'a> {
    keys: &'a [f32],
}

impl Sort<'_> {
    fn less(&self, a: usize, b: usize) -> bool {
        self.keys[a] < self.keys[b]
    }

    fn quicksort(&self, mut order: &mut [usize], mut depth: usize) {
        while order.len() > RUN {
            if depth == 0 {
                self.heapsort(order);
                return;
            }
            depth -= 1;
            let cut = self.partition(order);
            let (left, right) = order.split_at_mut(cut);
            self.quicksort(right, depth);
            order = left;
        }
    }

    /// Moves the median of three to the front and splits the rest around it; returns where the upper part starts.
    fn partition(&self, order: &mut [usize]) -> usize {
        let n = order.len();
        let median = self.median(order, 1, n / 2, n - 1);
        order.swap(0, median);
        let pivot = order[0];
        let (mut low, mut high) = (1, n);
        loop {
            while low < n && self.less(order[low], pivot) {
                low += 1;
            }
            high -= 1;
            while high > 0 && self.less(pivot, order[high]) {
                high -= 1;
            }
            if low >= high {
                return low;
            }
            order.swap(low, high);
            low += 1;
        }
    }

    fn median(&self, order: &[usize], a: usize, b: usize, c: usize) -> usize {
        let less = |i: usize, j: usize| self.less(order[i], order[j]);
        if less(a, b) {
            if less(b, c) {
                b
            } else if less(a, c) {
                c
            } else {
                a
            }
        } else if less(a, c) {
            a
        } else if less(b, c) {
            c
        } else {
            b
        }
    }

    fn heapsort(&self, order: &mut [usize]) {
        let n = order.len();
        for root in (0..n / 2).rev() {
            self.sink(order, root, n);
        }
        for end in (1..n).rev() {
            order.swap(0, end);
            self.sink(order, 0, end);
        }
    }

    fn sink(&self, order: &mut [usize], mut hole: usize, end: usize) {
        let value = order[hole];
        let top = hole;
        while 2 * hole + 1 < end {
            let mut child = 2 * hole + 1;
            if child + 1 < end && !self.less(order[child + 1], order[child]) {
                child += 1;
            }
            order[hole] = order[child];
            hole = child;
        }
        while hole > top {
            let parent = (hole - 1) / 2;
            if !self.less(order[parent], value) {
                break;
            }
            order[hole] = order[parent];
            hole = parent;
        }
        order[hole] = value;
    }

    /// Sorts the whole: the first `n_first` elements may come before the front, the others stay within their runs.
    fn insertion_sort(&self, order: &mut [usize], n_first: usize) {
        for i in 1..order.len() {
            let value = order[i];
            let mut hole = i;
            if i < n_first && self.less(value, order[0]) {
                order.copy_within(0..i, 1);
                hole = 0;
            }
            while hole > 0 && self.less(value, order[hole - 1]) {
                order[hole] = order[hole - 1];
                hole -= 1;
            }
            order[hole] = value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Sort, argsort};
    use proptest::prelude::*;

    fn is_sorted_permutation(keys: &[f32], order: &[usize]) -> bool {
        let mut seen = order.to_vec();
        seen.sort_unstable();
        seen.into_iter().eq(0..keys.len()) && order.windows(2).all(|pair| keys[pair[0]] <= keys[pair[1]])
    }

    proptest! {
        #[test]
        fn sorts(keys in prop::collection::vec((0_u8..40).prop_map(f32::from), 0..300)) {
            prop_assert!(is_sorted_permutation(&keys, &argsort(&keys)));
        }

        #[test]
        fn heapsort_sorts(keys in prop::collection::vec((0_u8..40).prop_map(f32::from), 0..100)) {
            let mut order: Vec<usize> = (0..keys.len()).collect();
            Sort { keys: &keys }.heapsort(&mut order);
            prop_assert!(is_sorted_permutation(&keys, &order));
        }

        #[test]
        fn survives_nan(keys in prop::collection::vec(prop::num::f32::ANY, 0..200)) {
            prop_assert_eq!(argsort(&keys).len(), keys.len());
        }
    }
}
