use crate::dim_expression::evaluate;
use crate::{Axis, DimRange, EngineError, Profile, Result, TensorSpec};
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

    /// The shape that a spec takes in this run; `None` if it names a dimension that no input has, and that does not follow
    /// from those that inputs have either.
    pub fn shape(&self, spec: &TensorSpec) -> Option<Vec<usize>> {
        spec.shape
            .iter()
            .map(|axis| match axis {
                Axis::Fixed(length) => Some(*length),
                Axis::Named(name) => self.get(name).or_else(|| evaluate(name, &|name| self.get(name))),
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
                    None if evaluate(dim, &|name| self.get(name)).is_some_and(|expected| expected != *length) => {
                        return Err(EngineError::Shape { spec: spec.clone(), got: shape.to_vec() });
                    }
                    None => {
                        self.lengths.insert(dim.clone(), (*length, spec.name.clone()));
                    }
                },
            }
        }
        Ok(())
    }

    /// The first of the profiles that holds these lengths. Where there is none, the error names a dimension that is
    /// outside of the profile that comes nearest, of several the last, which by custom is the widest.
    pub fn profile(&self, profiles: &[Profile]) -> Result<usize> {
        let mut nearest: Option<Vec<Outside<'_>>> = None;
        for (index, profile) in profiles.iter().enumerate() {
            let outside = self.outside(profile);
            if outside.is_empty() {
                return Ok(index);
            }
            if nearest.as_ref().is_none_or(|nearest| outside.len() <= nearest.len()) {
                nearest = Some(outside);
            }
        }
        match nearest.as_deref() {
            Some([(dim, range, length), ..]) => {
                Err(EngineError::OutsideProfile { dim: (*dim).to_owned(), got: *length, range: *range })
            }
            Some([]) | None => Ok(0),
        }
    }

    fn outside<'p>(&self, profile: &'p Profile) -> Vec<Outside<'p>> {
        let ranges = profile.dims.iter().filter_map(|(dim, range)| Some((&**dim, *range, self.get(dim)?)));
        ranges.filter(|(_, range, length)| !(range.min..=range.max).contains(length)).collect()
    }
}

/// A dimension, the range that it may take and the length that it has.
type Outside<'p> = (&'p str, DimRange, usize);
