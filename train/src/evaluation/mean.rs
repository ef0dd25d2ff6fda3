use serde::{Serialize, Serializer, ser::SerializeStruct as _};

/// The mean of a measure over clips, with how sure it is.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
pub struct Mean {
    n: usize,
    value: f64,
    /// Sum of the squares of the distances from the mean (Welford).
    squares: f64,
}

impl Mean {
    /// Takes one more clip in.
    pub fn push(&mut self, value: f64) {
        self.n += 1;
        let before = value - self.value;
        self.value += before / self.n as f64;
        self.squares += before * (value - self.value);
    }

    /// How many clips there are.
    pub fn n(&self) -> usize {
        self.n
    }

    /// The mean; 0 without clips.
    pub fn mean(&self) -> f64 {
        self.value
    }

    /// The standard deviation of the mean over `n - 1` degrees of freedom, if there are two clips.
    pub fn standard_error(&self) -> Option<f64> {
        let degrees = self.n.checked_sub(1).filter(|degrees| *degrees > 0)?;
        Some((self.squares / degrees as f64 / self.n as f64).sqrt())
    }
}

impl Serialize for Mean {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Mean", 3)?;
        object.serialize_field("mean", &self.value)?;
        object.serialize_field("standard_error", &self.standard_error())?;
        object.serialize_field("clips", &self.n)?;
        object.end()
    }
}

#[cfg(test)]
mod tests {
    use super::Mean;

    #[test]
    fn errors_are_those_of_the_mean() {
        let mut mean = Mean::default();
        assert_eq!(mean.standard_error(), None);
        for value in [1.0, 2.0, 3.0, 6.0] {
            mean.push(value);
        }
        // Squares 4, 1, 0 and 9: 14 / 3 / 4.
        assert_eq!((mean.n(), mean.mean()), (4, 3.0));
        assert!((mean.standard_error().expect("four clips") - (14.0_f64 / 12.0).sqrt()).abs() < 1e-12);
    }
}
