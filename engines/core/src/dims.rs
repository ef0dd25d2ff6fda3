use crate::{Axis, EngineError, Profile, Result, TensorSpec};
use std::collections::BTreeMap;

/// The lengths that named dimensions take in one run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dims {
    lengths: BTreeMap<String, (usize, String)>,
}

impl Dims {
    /// The length of a named dimension, if an input has set it.
    pub fn get(&self, name: &str) -> Option<usize> {
        self.lengths.get(name).map(|(length, _)| *length)
    }

    /// The shape that a spec takes in this run; `None` if it names a dimension that no input has.
    pub fn shape(&self, spec: &TensorSpec) -> Option<Vec<usize>> {
        spec.shape
            .iter()
            .map(|axis| match axis {
                Axis::Fixed(length) => Some(*length),
                Axis::Named(name) => self.get(name),
            })
            .collect()
    }

    /// Checks a shape against a spec and takes over the lengths of its named axes.
    pub(crate) fn bind(&mut self, spec: &TensorSpec, shape: &[usize]) -> Result<()> {
        if spec.shape.len() != shape.len() {
            return Err(EngineError::Shape { spec: spec.clone(), got: shape.to_vec() });
        }
        for (axis, length) in spec.shape.iter().zip(shape) {
            match axis {
                Axis::Fixed(expected) if expected == length => {}
                Axis::Fixed(_) => return Err(EngineError::Shape { spec: spec.clone(), got: shape.to_vec() }),
                Axis::Named(dim) => match self.lengths.get(dim) {
                    Some((expected, _)) if expected == length => {}
                    Some((expected, from)) => {
                        return Err(EngineError::NamedDim {
                            dim: dim.clone(),
                            name: spec.name.clone(),
                            got: *length,
                            expected: *expected,
                            from: from.clone(),
                        });
                    }
                    None => {
                        self.lengths.insert(dim.clone(), (*length, spec.name.clone()));
                    }
                },
            }
        }
        Ok(())
    }

    /// Checks that every length lies in the range that the engine was built for.
    pub(crate) fn check(&self, profile: &Profile) -> Result<()> {
        for (dim, range) in &profile.dims {
            if let Some(length) = self.get(dim)
                && !(range.min..=range.max).contains(&length)
            {
                return Err(EngineError::OutsideProfile { dim: dim.clone(), got: length, range: *range });
            }
        }
        Ok(())
    }
}
