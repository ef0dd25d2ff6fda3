//! Stages served by the engines of a bundle.

use std::{collections::BTreeMap, time::Instant};

use egom2p_engine_core::{Session, SessionOptions, Tensor};
use egom2p_engines::Bundle;
use egom2p_model::{Stage, Variant};

use crate::{
    routing::{Route, routes},
    stages::{Stages, StagesError},
};

/// The stages of a bundle. A session is made when its first call comes, and kept until [`Stages::release`]; with
/// prepacked weights, which take seconds to make, it is kept for good.
pub struct EngineStages {
    bundle: Bundle,
    options: SessionOptions,
    sessions: BTreeMap<(Stage, Variant), Box<dyn Session>>,
    timings: BTreeMap<(Stage, Variant), EngineTiming>,
}

/// What an engine's calls took.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct EngineTiming {
    /// How often it was called.
    pub calls: usize,
    /// Wall time of the calls.
    pub secs: f64,
    /// Wall time of checking its files and loading it.
    pub load_secs: f64,
}

impl EngineStages {
    /// Serves the stages of `bundle` with sessions of these options.
    pub fn new(bundle: Bundle, options: SessionOptions) -> Self {
        Self { bundle, options, sessions: BTreeMap::new(), timings: BTreeMap::new() }
    }

    /// The bundle.
    pub fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// Fails unless the bundle has every one of these stages, so that nothing is computed in vain.
    pub fn require(&self, stages: impl IntoIterator<Item = Stage>) -> Result<(), StagesError> {
        require(&self.bundle, stages)
    }

    /// What the calls of every engine took since the last call of this function.
    pub fn take_timings(&mut self) -> BTreeMap<(Stage, Variant), EngineTiming> {
        std::mem::take(&mut self.timings)
    }

    /// The cheapest engine that the bundle has for a call.
    fn pick<'a>(&self, stage: Stage, inputs: &[(&'a str, &'a Tensor)]) -> Result<Route<'a>, StagesError> {
        if !self.bundle.has_stage(stage.name()) {
            return Err(missing(stage));
        }
        let present = self.bundle.variants(stage.name())?;
        let mut routes = routes(stage, inputs)?;
        let wanted = routes.first().map_or(Variant::Default, |route| route.variant);
        let found = routes.iter().position(|route| present.contains(&route.variant.name()));
        found
            .map(|index| routes.swap_remove(index))
            .ok_or(StagesError::Variant { stage: stage.name(), variant: wanted.name() })
    }
}

impl Stages for EngineStages {
    fn release(&mut self, stage: Stage) {
        if !self.options.prepack {
            self.sessions.retain(|(other, _), _| *other != stage);
        }
    }

    fn run(&mut self, stage: Stage, inputs: &[(&str, &Tensor)]) -> Result<Vec<(String, Tensor)>, StagesError> {
        let Route { variant, inputs } = self.pick(stage, inputs)?;
        let key = (stage, variant);
        let timing = self.timings.entry(key).or_default();
        let session = match self.sessions.entry(key) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => {
                let started = Instant::now();
                let session = self.bundle.session(stage.name(), variant.name(), &self.options)?;
                timing.load_secs += started.elapsed().as_secs_f64();
                entry.insert(session)
            }
        };
        let started = Instant::now();
        let outputs = session.run(&inputs)?;
        timing.calls += 1;
        timing.secs += started.elapsed().as_secs_f64();
        Ok(outputs)
    }
}

/// Fails unless a bundle has every one of these stages, so that nothing is computed in vain.
pub fn require(bundle: &Bundle, stages: impl IntoIterator<Item = Stage>) -> Result<(), StagesError> {
    match stages.into_iter().find(|stage| !bundle.has_stage(stage.name())) {
        Some(stage) => Err(missing(stage)),
        None => Ok(()),
    }
}

/// A bundle without a stage.
pub(crate) fn missing(stage: Stage) -> StagesError {
    StagesError::Missing { stage: stage.name(), file: stage.weights_file().file_name() }
}
