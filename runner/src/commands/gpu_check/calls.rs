use anyhow::{Context as _, ensure};
use egom2p_calibration::Precision;
use egom2p_engine_core::{Data, Digest, EngineError, SessionOptions, Tensor};
use egom2p_engines::Bundle;
use egom2p_model::{ModelConfig, Stage, Variant};
use indicatif::ProgressBar;

use super::{
    cases::Case,
    checks::Check,
    reference::{Reference, StageRecord},
    sample::Sample,
    tolerances,
};

/// An engine of a bundle, and how it is called.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) stage: Stage,
    pub(super) variant: Variant,
    pub(super) case: Case,
}

/// What a call gave.
pub(super) enum Called {
    /// Digest of the inputs, and what is kept of the outputs.
    Done(Digest, Vec<Sample>),
    /// The engine was not built for such a call.
    OutsideRanges(String),
}

impl Call {
    /// Every call by which the engines of a bundle are checked, in the order of the data's way.
    pub(super) fn of(bundle: &Bundle, config: &ModelConfig) -> anyhow::Result<Vec<Self>> {
        let mut engines = Vec::new();
        for (name, variants) in &bundle.manifest().stages {
            let stage = Stage::from_name(name)?;
            for variant in variants.keys() {
                let known = stage.variants().iter().find(|known| known.name() == variant);
                let unknown = || format!("stage {stage} has no variant called {variant}\nbuild the bundle again");
                engines.push((stage, *known.with_context(unknown)?));
            }
        }
        engines.sort();
        let calls = engines.into_iter().flat_map(|(stage, variant)| {
            Case::of(config, stage, variant).into_iter().map(move |case| Self { stage, variant, case })
        });
        Ok(calls.collect())
    }

    /// Its name in reports and files.
    pub(super) fn name(self) -> String {
        format!("{}.{}.{}", self.stage, self.variant, self.case.name)
    }

    /// Calls the engine.
    pub(super) fn run(self, bundle: &Bundle, config: &ModelConfig, options: &SessionOptions) -> anyhow::Result<Called> {
        let mut session = bundle.session(self.stage.name(), self.variant.name(), options)?;
        let inputs = self.case.inputs(config, self.stage, session.inputs())?;
        let given: Vec<_> = inputs.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
        let outputs = match session.run(&given) {
            Err(error @ EngineError::OutsideProfile { .. }) => {
                return Ok(Called::OutsideRanges(first_line(&error)));
            }
            outputs => outputs?,
        };
        drop(session);
        let is_head = [Stage::HeadCamera, Stage::HeadDepth, Stage::HeadGaze, Stage::HeadRgb].contains(&self.stage);
        let samples =
            outputs.iter().map(|(name, output)| Sample::of(name, output, inputs.permitted.as_deref(), is_head));
        Ok(Called::Done(digest(&inputs.tensors), samples.collect::<Result<_, _>>()?))
    }

    /// Holds what the engine gives against what the processor gave.
    pub(super) fn check(
        self,
        bundle: &Bundle,
        config: &ModelConfig,
        reference: &Reference,
        options: &SessionOptions,
    ) -> anyhow::Result<Vec<Check>> {
        let is_it = |record: &&StageRecord| {
            (record.stage.as_str(), record.variant.as_str(), record.case.as_str())
                == (self.stage.name(), self.variant.name(), self.case.name)
        };
        let Some(record) = reference.manifest.stages.iter().find(is_it) else {
            return Ok(vec![Check::left_out(self.name(), "the reference has no such call")]);
        };
        let expected = reference.outputs(record)?;
        let (inputs, samples) = match self.run(bundle, config, options) {
            Ok(Called::Done(inputs, samples)) => (inputs, samples),
            Ok(Called::OutsideRanges(why)) => return Ok(vec![Check::left_out(self.name(), &why)]),
            // One engine that does not run says nothing of the others.
            Err(error) => return Ok(vec![Check::failed(self.name(), &first_line(&error))]),
        };
        ensure!(
            inputs == record.inputs,
            "the inputs of {} that follow from seed {} are others than those of the reference\nstore the reference again with this version of the program",
            self.name(),
            reference.manifest.seed
        );
        let entry = bundle.variant(self.stage.name(), self.variant.name())?;
        let limit = tolerances::of_stage(config, self.stage, entry.precision.parse::<Precision>()?);
        let mut checks = Vec::new();
        for expected in &expected {
            let name = format!("{} {}", self.name(), expected.record.name);
            let actual = samples.iter().find(|sample| sample.record.name == expected.record.name);
            let Some(actual) = actual.filter(|actual| actual.record.shape == expected.record.shape) else {
                checks.push(Check::failed(name, "the output is missing or has another shape"));
                continue;
            };
            checks.push(match (actual.difference(expected), actual.integers(expected)) {
                (Some(difference), _) => Check::floats(name, difference, limit),
                (None, Some((actual, expected))) => Check::equal(name, actual, expected, limit),
                (None, None) => Check::failed(name, "the output has another type or size"),
            });
            if let (Some(actual), Some(expected)) = (&actual.largest, &expected.largest) {
                let name = format!("{} arg-max", self.name());
                checks.push(Check::equal(name, actual, expected, tolerances::of_largest()));
            }
        }
        if checks.is_empty() {
            checks.push(Check::failed(self.name(), "the reference has no output of it"));
        }
        Ok(checks)
    }
}

/// Checks every engine of a bundle.
pub(super) fn check_all(
    bundle: &Bundle,
    config: &ModelConfig,
    reference: &Reference,
    options: &SessionOptions,
    bar: &ProgressBar,
) -> anyhow::Result<Vec<Check>> {
    let calls = Call::of(bundle, config)?;
    bar.set_length(calls.len() as u64);
    let mut checks = Vec::new();
    for call in calls {
        bar.set_message(call.name());
        checks.extend(call.check(bundle, config, reference, options)?);
        bar.inc(1);
    }
    ensure!(
        checks.iter().any(Check::was_made),
        "nothing of bundle {} is in the reference\nstore the reference from a bundle with the same stages",
        bundle.folder().display()
    );
    Ok(checks)
}

/// Digest of named tensors.
pub(super) fn digest(tensors: &[(String, Tensor)]) -> Digest {
    let mut hasher = blake3::Hasher::new();
    for (name, tensor) in tensors {
        hasher.update(format!("{name} {} {:?}\n", tensor.dtype(), tensor.shape()).as_bytes());
        let bytes: Vec<u8> = match tensor.data() {
            Data::F32(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Data::I64(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Data::Bool(values) => values.iter().map(|value| u8::from(*value)).collect(),
        };
        hasher.update(&bytes);
    }
    Digest::from_bytes(*hasher.finalize().as_bytes())
}

pub(super) fn first_line(error: &impl std::fmt::Display) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}
