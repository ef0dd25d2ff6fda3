use super::initial::{InitialValues, Scheme};
use super::{
    CodebookUpdate, Forward, Peers, Result, Tokenizer, TokenizerError, TokenizerSettings, VectorQuantizer,
    VectorQuantizerSettings, drawn_rows, mean_squared_error, valid_squared_error,
};
use egom2p_graph::{Graph, Parameters};
use egom2p_model::{Modality, ModelConfig, TokenizerHalves, tokenizer_halves};
use egom2p_torch::{TorchParameters, run};
use tch::{Device, Tensor};

/// The tables of sines and cosines, which are stored and nobody learns.
const FIXED_SUFFIX: &str = "position_embeddings";

/// The tokenizer of camera trajectories or of gaze, in training (specification sections 2.1 to 2.3).
#[derive(Debug)]
pub struct MotionTokenizer {
    modality: Modality,
    halves: TokenizerHalves,
    parameters: TorchParameters,
    quantizer: VectorQuantizer,
    device: Device,
}

impl MotionTokenizer {
    /// A tokenizer that has learned nothing.
    pub fn new(config: &ModelConfig, modality: Modality, settings: &TokenizerSettings, device: Device) -> Result<Self> {
        let (halves, code_dim) = halves(config, modality)?;
        let initial = InitialValues::new(Scheme::Motion, settings.seed, [&halves.analysis, &halves.synthesis]);
        let parameters = parameters(&halves, &initial, device)?;
        let n_codes = config.motion.vocabulary;
        let quantizer = VectorQuantizer::new(n_codes, code_dim, settings.quantizer, settings.seed, device)?;
        Ok(Self { modality, halves, parameters, quantizer, device })
    }

    /// A tokenizer with stored weights, the codebook's bookkeeping among them.
    pub fn load(
        config: &ModelConfig,
        modality: Modality,
        settings: VectorQuantizerSettings,
        source: &dyn Parameters,
        device: Device,
    ) -> Result<Self> {
        let (halves, code_dim) = halves(config, modality)?;
        let parameters = parameters(&halves, source, device)?;
        let quantizer = VectorQuantizer::load(config.motion.vocabulary, code_dim, settings, source, device)?;
        Ok(Self { modality, halves, parameters, quantizer, device })
    }

    /// Camera or gaze.
    pub fn modality(&self) -> Modality {
        self.modality
    }

    /// The codebook.
    pub fn quantizer(&self) -> &VectorQuantizer {
        &self.quantizer
    }

    /// Clips to latents f32 `[batch, tokens, code_dim]`. Clips are f32 `[batch, samples, 9]` of camera, normalised, or
    /// `[batch, samples, 3]` of gaze: x, y and validity.
    pub fn latents(&self, clips: &Tensor) -> Result<Tensor> {
        self.one(&self.halves.analysis, self.modality.name(), clips)
    }

    /// Codes f32 `[batch, tokens, code_dim]` to clips f32 `[batch, samples, 9]` of camera or `[batch, samples, 2]` of gaze.
    pub fn synthesize(&self, codes: &Tensor) -> Result<Tensor> {
        self.one(&self.halves.synthesis, "codes", codes)
    }

    /// Clips to tokens i64 `[batch, tokens]`, without gradients.
    pub fn encode(&self, clips: &Tensor) -> Result<Tensor> {
        let _no_gradient = tch::no_grad_guard();
        Ok(self.quantizer.lookup(&self.latents(clips)?)?.tokens)
    }

    /// Tokens i64 `[batch, tokens]` to clips, without gradients.
    pub fn decode(&self, tokens: &Tensor) -> Result<Tensor> {
        let _no_gradient = tch::no_grad_guard();
        self.synthesize(&self.quantizer.codes(tokens)?)
    }

    /// Runs a half.
    fn one(&self, graph: &Graph, input: &str, value: &Tensor) -> Result<Tensor> {
        Ok(run(graph, &[(input, value)], &self.parameters, self.device)?.swap_remove(0).1)
    }
}

impl Tokenizer for MotionTokenizer {
    fn forward(&self, clips: &Tensor) -> Result<Forward> {
        let quantized = self.quantizer.quantize(&self.latents(clips)?)?;
        let decoded = self.synthesize(&quantized.codes)?;
        let reconstruction = match self.modality {
            Modality::Gaze => valid_squared_error(&decoded, clips)?,
            Modality::Camera | Modality::Depth | Modality::Rgb => mean_squared_error(&decoded, clips)?,
        };
        let loss = reconstruction.f_add(&quantized.commitment);
        let loss = loss.map_err(TokenizerError::operation("add up the loss"))?;
        let tokens = quantized.lookup.tokens.shallow_clone();
        let (commitment, lookup) = (Some(quantized.commitment), Some(quantized.lookup));
        Ok(Forward { loss, reconstruction, commitment, decoded, tokens, lookup })
    }

    fn learn_codes(&mut self, forward: &Forward, seed: u64, step: u64, peers: &dyn Peers) -> Result<CodebookUpdate> {
        match &forward.lookup {
            Some(lookup) => self.quantizer.update(lookup, peers, drawn_rows(seed, step)),
            None => Ok(CodebookUpdate::default()),
        }
    }

    fn trainable(&self) -> Vec<(&str, &Tensor)> {
        self.parameters.iter().filter(|(name, _)| !name.ends_with(FIXED_SUFFIX)).collect()
    }

    fn tensors(&self) -> Vec<(&str, &Tensor)> {
        let mut tensors: Vec<_> = self.parameters.iter().chain(self.quantizer.buffers()).collect();
        tensors.sort_unstable_by_key(|(name, _)| *name);
        tensors
    }
}

/// The halves, and the width of a code.
fn halves(config: &ModelConfig, modality: Modality) -> Result<(TokenizerHalves, usize)> {
    let sizes = match modality {
        Modality::Camera => config.camera_tokenizer,
        Modality::Gaze => config.gaze_tokenizer,
        Modality::Depth | Modality::Rgb => return Err(TokenizerError::not_motion(modality)),
    };
    Ok((tokenizer_halves(config, modality)?, sizes.map_or(0, |sizes| sizes.code_dim)))
}

fn parameters(halves: &TokenizerHalves, source: &dyn Parameters, device: Device) -> Result<TorchParameters> {
    let names = halves.analysis.params().chain(halves.synthesis.params());
    let parameters = TorchParameters::load(names, source, device)?;
    for (name, tensor) in parameters.iter() {
        let learned = tensor.f_set_requires_grad(!name.ends_with(FIXED_SUFFIX));
        let _ = learned.map_err(TokenizerError::operation("make a parameter"))?;
    }
    Ok(parameters)
}
