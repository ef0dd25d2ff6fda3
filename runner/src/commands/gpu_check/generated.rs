use anyhow::ensure;
use egom2p::{
    device_pipeline::{DevicePipeline, DevicePlan},
    engine_stages::EngineStages,
    generation::GenerationSettings,
    stages::Stages,
};
use egom2p_calibration::Precision;
use egom2p_engines::Bundle;
use egom2p_model::{Modality, ModelConfig, Stage};
use indicatif::ProgressBar;
use std::{num::NonZeroUsize, sync::Arc};

use super::{
    calls::first_line,
    checks::Check,
    reference::{Reference, StoredTokens},
    store::given_digest,
    tokens::{self, Watch},
    tolerances::{self, Limit},
};
use crate::commands::{bench::OnDevice, engines::EngineArgs};

/// Greedy tokens, each step after the reference's own.
const STEP_BY_STEP: &str = "greedy tokens, step by step";

/// Holds generated tokens against those of the processor.
pub(super) fn check(
    bundle: &Bundle,
    config: &ModelConfig,
    reference: &Reference,
    device: Option<&OnDevice>,
    engines: &EngineArgs,
    bar: &ProgressBar,
) -> anyhow::Result<Vec<Check>> {
    let Some(record) = &reference.manifest.generation else {
        return Ok(vec![Check::left_out(STEP_BY_STEP.to_owned(), "the reference has no generated tokens")]);
    };
    let (targets, stored) = reference.tokens(record)?;
    ensure!(
        record.given == given_digest(config)?,
        "the tokens that follow from seed {} are others than those of the reference\nstore the reference again with this version of the program",
        reference.manifest.seed
    );
    let needed = [Stage::Encoder, Stage::Decoder].into_iter().chain(targets.iter().map(|&target| Stage::head(target)));
    if let Some(stage) = needed.into_iter().find(|stage| !bundle.has_stage(stage.name())) {
        let why = format!("this bundle has no stage {stage}");
        return Ok(vec![Check::left_out(STEP_BY_STEP.to_owned(), &why)]);
    }
    let precision: Precision = match bundle.manifest().stages[Stage::Decoder.name()].values().next() {
        Some(variant) => variant.precision.parse()?,
        None => Precision::Fp32,
    };
    let mut stages =
        EngineStages::new(Bundle::open(bundle.folder(), engines.backend_options())?, engines.session_options());
    let settings = |greedy| tokens::settings(&targets, greedy, engines.n_threads());
    let doubt = tolerances::doubt(config) * record.max_abs;
    let expected = Expected { stored: &stored, n_first: record.n_first, precision, doubt };

    bar.set_message(STEP_BY_STEP);
    let mut checks = Vec::new();
    let mut watch = Watch::new(&mut stages, Some(&stored.greedy));
    match tokens::decode(&mut watch, config, &settings(true)) {
        Ok(_) => {
            let limit = tolerances::of_choices(config, precision);
            checks.push(Check::equal_but(STEP_BY_STEP.to_owned(), &watch.largest, &stored.greedy, limit, |at| {
                precision == Precision::Fp32 && f64::from(stored.leads[at]) <= doubt
            }));
        }
        Err(error) => checks.push(Check::failed(STEP_BY_STEP.to_owned(), &first_line(&error))),
    }
    // What is free to follow its own tokens is judged as a whole only where no token was in doubt.
    let clear = checks[0].all_equal();
    bar.set_message("tokens of the loop on the host");
    checks.extend(expected.loop_checks("", clear, |greedy| run_host(&mut stages, config, &settings(greedy))));
    if let Some(device) = device {
        bar.set_message("tokens of the loop on the device");
        let run = |greedy| run_device(bundle, config, device, &settings(greedy), engines);
        checks.extend(expected.loop_checks(", loop on the device", clear, run));
    }
    Ok(checks)
}

/// Tokens of the reference, and what is asked of those of a loop.
struct Expected<'a> {
    stored: &'a StoredTokens,
    n_first: usize,
    precision: Precision,
    /// A smaller lead of a logit decides nothing.
    doubt: f64,
}

impl Expected<'_> {
    /// Greedy tokens and those of the published settings, all and of the first step.
    fn loop_checks(
        &self,
        place: &str,
        clear: bool,
        mut run: impl FnMut(bool) -> anyhow::Result<(Vec<i64>, Vec<i64>)>,
    ) -> Vec<Check> {
        let mut checks = Vec::new();
        for greedy in [true, false] {
            let (what, expected) = if greedy {
                ("greedy tokens", &self.stored.greedy)
            } else {
                ("tokens with published settings", &self.stored.published)
            };
            let name = format!("{what}{place}");
            let (positions, tokens) = match run(greedy) {
                Ok(generated) => generated,
                Err(error) => {
                    checks.push(Check::failed(name, &first_line(&error)));
                    continue;
                }
            };
            if positions != self.stored.positions {
                checks.push(Check::failed(name, "other positions were decoded"));
                continue;
            }
            let n_first = self.n_first.min(tokens.len());
            let is_fp32 = self.precision == Precision::Fp32;
            if greedy {
                let limit = if is_fp32 && clear { Limit::Agreement(1.0) } else { Limit::Measured };
                checks.push(Check::equal(name.clone(), &tokens, expected, limit));
                let limit = if is_fp32 { Limit::Agreement(1.0) } else { Limit::Measured };
                let first = (&tokens[..n_first], &expected[..n_first]);
                let in_doubt = |at: usize| is_fp32 && f64::from(self.stored.leads[at]) <= self.doubt;
                checks.push(Check::equal_but(format!("{name}, first step"), first.0, first.1, limit, in_doubt));
            } else {
                // A draw at a low temperature multiplies what logits differ by; how near draws were is not kept.
                let limit = if is_fp32 { Limit::Agreement(tolerances::FIRST_DRAWS) } else { Limit::Measured };
                checks.push(Check::equal(name.clone(), &tokens, expected, Limit::Measured));
                let first = (&tokens[..n_first], &expected[..n_first]);
                checks.push(Check::equal(format!("{name}, first step"), first.0, first.1, limit));
            }
        }
        checks
    }
}

fn run_host(
    stages: &mut dyn Stages,
    config: &ModelConfig,
    settings: &GenerationSettings,
) -> anyhow::Result<(Vec<i64>, Vec<i64>)> {
    Ok(tokens::in_order(&tokens::decode(stages, config, settings)?))
}

fn run_device(
    bundle: &Bundle,
    config: &ModelConfig,
    device: &OnDevice,
    settings: &GenerationSettings,
    engines: &EngineArgs,
) -> anyhow::Result<(Vec<i64>, Vec<i64>)> {
    let plan = DevicePlan { given: vec![Modality::Rgb], video: None, batch: NonZeroUsize::MIN, detokenize: false };
    let bundle = Bundle::open(bundle.folder(), engines.backend_options())?;
    let options = engines.session_options();
    let mut pipeline = DevicePipeline::new(bundle, Arc::clone(device.device()), config, settings, &plan, &options)?;
    let generated = pipeline.generate(&[tokens::given(config)], &mut |_| ())?;
    let generated = generated.first().ok_or_else(|| anyhow::anyhow!("the device gave no tokens\nreport this"))?;
    Ok(tokens::in_order(generated))
}
