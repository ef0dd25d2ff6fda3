use crate::{EngineError, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Ranges of named dimensions: what an engine is built for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Profile {
    /// The range of each dimension by its name.
    pub dims: BTreeMap<String, DimRange>,
}

/// Range of one named dimension.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DimRange {
    /// Shortest length that must work.
    pub min: usize,
    /// Length to be fastest at.
    pub opt: usize,
    /// Longest length that must work.
    pub max: usize,
}

impl Profile {
    /// Checks that `min <= opt <= max` for every dimension.
    pub fn check(&self) -> Result<()> {
        for (name, range) in &self.dims {
            if range.min > range.opt || range.opt > range.max {
                return Err(EngineError::ProfileRange { dim: name.clone(), range: *range });
            }
        }
        Ok(())
    }
}
