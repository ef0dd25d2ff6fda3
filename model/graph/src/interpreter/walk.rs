/// The places in a tensor that are visited when the axes of another one are counted through, the last axis fastest.
///
/// Broadcasting is a stride of 0, transposition another order of strides.
pub(super) struct Walk {
    sizes: Vec<usize>,
    strides: Vec<usize>,
    counter: Vec<usize>,
    place: usize,
    left: usize,
}

impl Walk {
    /// Starts at `start` and moves by `strides[axis]` for every step along `axis`.
    pub(super) fn new(sizes: &[usize], strides: Vec<usize>, start: usize) -> Self {
        let left = sizes.iter().product();
        Self { sizes: sizes.to_vec(), strides, counter: vec![0; sizes.len()], place: start, left }
    }

    /// Visits a tensor of shape `from` as if it had the shape `to`, which it broadcasts to.
    pub(super) fn broadcast(from: &[usize], to: &[usize]) -> Self {
        let missing = to.len() - from.len();
        let own = strides(from);
        let strides = (0..to.len()).map(|axis| match axis.checked_sub(missing) {
            Some(axis) if from[axis] != 1 => own[axis],
            _ => 0,
        });
        Self::new(to, strides.collect(), 0)
    }
}

impl Iterator for Walk {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        self.left = self.left.checked_sub(1)?;
        let place = self.place;
        for axis in (0..self.sizes.len()).rev() {
            self.counter[axis] += 1;
            self.place += self.strides[axis];
            if self.counter[axis] < self.sizes[axis] {
                break;
            }
            self.place -= self.strides[axis] * self.sizes[axis];
            self.counter[axis] = 0;
        }
        Some(place)
    }
}

/// The distance between neighbours along every axis of a row-major tensor.
pub(super) fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    strides
}
