use std::{collections::BTreeMap, sync::Arc, time::Instant};

use egom2p_device::{Buffer, ComputeDevice, Stream};
use egom2p_engine_core::{DeviceTensor, Engine, EngineError, Profile, Session, SessionOptions};
use egom2p_engines::Bundle;
use egom2p_model::{Stage, Variant};

use crate::{
    engine_stages::{EngineTiming, missing},
    stages::StagesError,
};

/// What is asked of an engine: of the decoder, whether there is anything to see.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Request {
    pub(crate) stage: Stage,
    /// Whether the decoder sees nothing.
    pub(crate) contextless: bool,
}

/// A call that will be made: the lengths of its named dimensions.
pub(crate) type CallDims = Vec<(&'static str, usize)>;

/// The engines of a bundle that a pipeline needs. Several pipelines make their sessions from them.
pub(crate) struct OpenedEngines {
    engines: BTreeMap<(Stage, Variant), OpenedEngine>,
}

/// An engine and the ranges of dimensions that it was built for.
pub(crate) struct OpenedEngine {
    pub(crate) engine: Box<dyn Engine>,
    pub(crate) profiles: Vec<Profile>,
    pub(crate) load_secs: f64,
}

/// Sessions of one pipeline, which run one after another on one stream.
pub(crate) struct DeviceSessions {
    sessions: BTreeMap<(Stage, Variant), Box<dyn Session>>,
    timings: BTreeMap<(Stage, Variant), EngineTiming>,
}

impl Request {
    /// Any stage but the decoder with nothing to see.
    pub(crate) fn of(stage: Stage) -> Self {
        Self { stage, contextless: false }
    }

    /// The engines that serve it, the cheapest first.
    fn variants(self) -> &'static [Variant] {
        match (self.stage, self.contextless) {
            (Stage::Decoder, true) => &[Variant::Contextless, Variant::Unmasked, Variant::Masked],
            (Stage::Encoder | Stage::Decoder, _) => &[Variant::Unmasked, Variant::Masked],
            (
                Stage::VideoEncoder
                | Stage::VideoDecoder
                | Stage::CameraEncoder
                | Stage::CameraDecoder
                | Stage::GazeEncoder
                | Stage::GazeDecoder
                | Stage::HeadCamera
                | Stage::HeadDepth
                | Stage::HeadGaze
                | Stage::HeadRgb,
                _,
            ) => &[Variant::Default],
        }
    }
}

impl OpenedEngines {
    /// Opens the cheapest engine that a bundle has for every request.
    pub(crate) fn open(bundle: &Bundle, requests: impl IntoIterator<Item = Request>) -> Result<Self, StagesError> {
        let mut engines = BTreeMap::new();
        for request in requests {
            let stage = request.stage;
            if !bundle.has_stage(stage.name()) {
                return Err(missing(stage));
            }
            let present = bundle.variants(stage.name())?;
            let wanted = request.variants();
            let Some(&variant) = wanted.iter().find(|variant| present.contains(&variant.name())) else {
                return Err(StagesError::Variant { stage: stage.name(), variant: wanted[0].name() });
            };
            if let std::collections::btree_map::Entry::Vacant(entry) = engines.entry((stage, variant)) {
                let started = Instant::now();
                let engine = bundle.engine(stage.name(), variant.name())?;
                let profiles = bundle.variant(stage.name(), variant.name())?.profiles.clone();
                entry.insert(OpenedEngine { engine, profiles, load_secs: started.elapsed().as_secs_f64() });
            }
        }
        Ok(Self { engines })
    }

    /// Engines from elsewhere than a bundle.
    #[cfg(all(test, feature = "host-kernels"))]
    pub(crate) fn from_engines(engines: BTreeMap<(Stage, Variant), OpenedEngine>) -> Self {
        Self { engines }
    }

    /// Fails unless the engine of a request was built for a call with these lengths.
    pub(crate) fn check(&self, request: Request, dims: &CallDims) -> Result<(), EngineError> {
        let Some(opened) = request.variants().iter().find_map(|&variant| self.engines.get(&(request.stage, variant)))
        else {
            return Ok(());
        };
        let outside = |profile: &Profile| {
            let ranges = dims.iter().filter_map(|&(dim, got)| Some((dim, got, *profile.dims.get(dim)?)));
            ranges.filter(|(_, got, range)| !(range.min..=range.max).contains(got)).collect::<Vec<_>>()
        };
        let outside: Vec<_> = opened.profiles.iter().map(outside).collect();
        match outside.iter().rev().min_by_key(|outside| outside.len()).and_then(|outside| outside.first()) {
            Some(&(dim, got, range)) => Err(EngineError::OutsideProfile { dim: dim.to_owned(), got, range }),
            None => Ok(()),
        }
    }

    /// Loads the weights onto the device, or shares those that are there.
    pub(crate) fn sessions(
        &self,
        device: &Arc<dyn ComputeDevice>,
        options: &SessionOptions,
    ) -> Result<DeviceSessions, EngineError> {
        let mut sessions = DeviceSessions { sessions: BTreeMap::new(), timings: BTreeMap::new() };
        for (&key, opened) in &self.engines {
            let started = Instant::now();
            sessions.sessions.insert(key, opened.engine.session_on(device, options)?);
            let load_secs = opened.load_secs + started.elapsed().as_secs_f64();
            sessions.timings.insert(key, EngineTiming { load_secs, ..EngineTiming::default() });
        }
        Ok(sessions)
    }
}

impl DeviceSessions {
    /// The engine that serves a request.
    pub(crate) fn variant(&self, request: Request) -> Result<Variant, StagesError> {
        let variants = request.variants();
        let found = variants.iter().find(|&&variant| self.sessions.contains_key(&(request.stage, variant)));
        found.copied().ok_or(StagesError::Variant { stage: request.stage.name(), variant: variants[0].name() })
    }

    /// Enqueues a call.
    pub(crate) fn enqueue(
        &mut self,
        stream: &dyn Stream,
        (stage, variant): (Stage, Variant),
        inputs: &[(&str, &DeviceTensor)],
        output: (&str, &DeviceTensor),
    ) -> Result<(), StagesError> {
        let session = self.sessions.get_mut(&(stage, variant));
        let session = session.ok_or(StagesError::Variant { stage: stage.name(), variant: variant.name() })?;
        let started = Instant::now();
        session.enqueue(stream, inputs, &[output])?;
        let timing = self.timings.entry((stage, variant)).or_default();
        timing.calls += 1;
        timing.secs += started.elapsed().as_secs_f64();
        Ok(())
    }

    /// Bytes that the hungriest session needs beside weights and tensors.
    pub(crate) fn scratch_bytes(&self) -> u64 {
        self.sessions.values().map(|session| session.scratch_bytes()).max().unwrap_or_default()
    }

    /// Lends the same memory to all.
    pub(crate) fn lend_scratch(&mut self, scratch: &Buffer) -> Result<(), EngineError> {
        self.sessions.values_mut().try_for_each(|session| session.lend_scratch(scratch))
    }

    /// What the calls took since the last call of this function.
    pub(crate) fn take_timings(&mut self) -> BTreeMap<(Stage, Variant), EngineTiming> {
        std::mem::take(&mut self.timings)
    }
}
