use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use egom2p::{
    benchmark::{ClipScope, Synthetic},
    engine_stages::EngineStages,
    generation::{GenerationError, ModalityTokens},
    pipeline::Given,
};
use egom2p_engines::Bundle;
use egom2p_model::{Modality, ModelConfig, Stage};

use super::Request;
use crate::commands::run::read_tokens;

/// What is decoded unless something else is asked for.
const DEFAULT_TARGETS: [Modality; 3] = [Modality::Depth, Modality::Camera, Modality::Gaze];

/// Which clips are measured, and from what.
pub(super) struct ClipsPlan {
    /// What is decoded, in this order.
    pub(super) targets: Vec<Modality>,
    /// What clips are made from and decoded to.
    pub(super) task: String,
    /// The scopes to measure, with their inputs.
    pub(super) scopes: Vec<(ClipScope, Given)>,
    /// The scopes that are not measured, by name, and why.
    pub(super) left_out: BTreeMap<&'static str, String>,
    /// Timed clips of each scope.
    pub(super) n_timed: usize,
}

impl ClipsPlan {
    /// Fails where what was typed cannot be had; what was not typed is left out instead.
    pub(super) fn new(request: &Request<'_>, config: &ModelConfig, stages: &EngineStages) -> anyhow::Result<Self> {
        let mut synthetic = Synthetic::new(config, request.seed);
        let mut tokens = request.tokens.iter().map(|file| read_tokens(config, file)).collect::<Result<Vec<_>, _>>()?;
        if tokens.is_empty() {
            tokens.push(ModalityTokens { modality: Modality::Rgb, tokens: synthetic.tokens(Modality::Rgb) });
        }
        let is_given = |modality| tokens.iter().any(|given| given.modality == modality);
        let needs = |targets: &[Modality]| -> Vec<Stage> {
            [Stage::Encoder, Stage::Decoder]
                .into_iter()
                .chain(targets.iter().map(|&target| Stage::head(target)))
                .collect()
        };
        let has = |stage: Stage| stages.bundle().has_stage(stage.name());
        let targets = if request.to.is_empty() {
            let targets = DEFAULT_TARGETS.into_iter();
            targets.filter(|&target| !is_given(target) && has(Stage::head(target))).collect()
        } else {
            stages.require(needs(request.to))?;
            request.to.to_vec()
        };
        if let Some(twice) = targets.iter().find(|&&target| is_given(target)) {
            return Err(GenerationError::Twice { modality: twice.name() }.into());
        }

        let names =
            |modalities: &[Modality]| modalities.iter().map(|modality| modality.name()).collect::<Vec<_>>().join(", ");
        let given: Vec<Modality> = tokens.iter().map(|tokens| tokens.modality).collect();
        let mut plan = Self {
            task: format!("{} to {}", names(&given), names(&targets)),
            targets,
            scopes: Vec::new(),
            left_out: BTreeMap::new(),
            n_timed: usize::from(request.clips),
        };
        let missing = |stages: Vec<Stage>| {
            let missing = stages.into_iter().find(|&stage| !has(stage));
            missing.map(|stage| format!("this bundle has no stage {stage}"))
        };
        let no_loop = if plan.n_timed == 0 {
            Some("no clips were asked for".to_owned())
        } else if plan.targets.is_empty() {
            Some("this bundle has no stage that gives tokens of depth, camera or gaze".to_owned())
        } else {
            missing(needs(&plan.targets))
        };
        let video = given.iter().copied().find(|modality| modality.is_video());
        let no_video = no_loop.clone().or_else(|| {
            let Some(video) = video else { return Some("no tokens of a video were given".to_owned()) };
            let detokenizers = plan.targets.iter().map(|&target| Stage::detokenizer(target));
            missing(detokenizers.chain([Stage::tokenizer(video)]).collect())
        });
        match (no_video, video) {
            (None, Some(video)) => {
                let frames = synthetic.frames().context("the sizes of a clip make no clip\nbuild the bundle again")?;
                let others = tokens.iter().filter(|given| given.modality != video).cloned().collect();
                plan.scopes.push((ClipScope::Predictions, Given { video: Some((video, frames)), tokens: others }));
            }
            (reason, _) => {
                plan.left_out.insert(ClipScope::Predictions.name(), reason.unwrap_or_default());
            }
        }
        match no_loop {
            None => plan.scopes.push((ClipScope::Tokens, Given { video: None, tokens })),
            Some(reason) => {
                plan.left_out.insert(ClipScope::Tokens.name(), reason);
            }
        }
        Ok(plan)
    }

    /// Clips of all scopes, with those for warm-up.
    pub(super) fn n_clips(&self) -> usize {
        self.scopes.len() * (self.n_timed + 1)
    }
}

/// The engines to measure, in the order of the data's way: stage and name of the variant.
pub(super) fn engines(bundle: &Bundle, wanted: &[Stage]) -> anyhow::Result<Vec<(Stage, String)>> {
    let mut engines = Vec::new();
    for (name, variants) in &bundle.manifest().stages {
        let stage = Stage::from_name(name)?;
        if wanted.is_empty() || wanted.contains(&stage) {
            engines.extend(variants.keys().map(|variant| (stage, variant.clone())));
        }
    }
    if engines.is_empty() {
        bail!("bundle {} has no engines\nbuild it from an exported folder", bundle.folder().display());
    }
    engines.sort();
    Ok(engines)
}
