use crate::{BundleError, Result};
use egom2p_engine_core::Profile;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Ranges of named dimensions in place of an export's.
///
/// A profile given here may leave dimensions out: those keep the range of the export's last profile, which holds
/// everything that is legal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProfileOverrides {
    /// The profiles of every stage that is not listed under `stages`; none to keep the export's.
    #[serde(default)]
    pub profiles: Vec<Profile>,
    /// The profiles of single stages.
    #[serde(default)]
    pub stages: BTreeMap<String, Vec<Profile>>,
}

impl ProfileOverrides {
    /// One profile for every stage.
    pub fn all(profile: Profile) -> Self {
        Self { profiles: vec![profile], stages: BTreeMap::new() }
    }

    /// The profiles of a stage whose export has `defaults`.
    pub(crate) fn apply(&self, stage: &str, defaults: &[Profile]) -> Vec<Profile> {
        let overrides = self.stages.get(stage).unwrap_or(&self.profiles);
        let Some(legal) = defaults.last().filter(|_| !overrides.is_empty()) else {
            return defaults.to_vec();
        };
        let mut profiles: Vec<Profile> = Vec::new();
        for given in overrides {
            let range = |(dim, range)| (String::clone(dim), *given.dims.get(dim).unwrap_or(range));
            let profile = Profile { dims: legal.dims.iter().map(range).collect() };
            if !profiles.contains(&profile) {
                profiles.push(profile);
            }
        }
        profiles
    }

    /// Checks that ranges are in order, that stages exist, and that every dimension is one of its stage's, or of any
    /// stage's where it is meant for all. `dims` has the dimensions of every stage.
    pub(crate) fn check(&self, dims: &BTreeMap<&str, BTreeSet<&str>>) -> Result<()> {
        let all: BTreeSet<&str> = dims.values().flatten().copied().collect();
        check_dims(&self.profiles, None, &all)?;
        for (stage, profiles) in &self.stages {
            match dims.get(stage.as_str()) {
                Some(dims) => check_dims(profiles, Some(stage), dims)?,
                None => {
                    return Err(BundleError::UnknownProfileStage {
                        stage: stage.clone(),
                        stages: dims.keys().map(|&stage| stage.to_owned()).collect(),
                    });
                }
            }
        }
        Ok(())
    }
}

fn check_dims(profiles: &[Profile], stage: Option<&str>, dims: &BTreeSet<&str>) -> Result<()> {
    for profile in profiles {
        profile.check()?;
        if let Some(dim) = profile.dims.keys().find(|dim| !dims.contains(dim.as_str())) {
            return Err(BundleError::UnknownDim {
                dim: dim.clone(),
                stage: stage.map(str::to_owned),
                dims: dims.iter().map(|&dim| dim.to_owned()).collect(),
            });
        }
    }
    Ok(())
}
