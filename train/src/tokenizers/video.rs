use super::initial::{InitialValues, Scheme};
use super::{CodebookUpdate, FiniteScalarQuantizer, Forward, Peers, Result, Tokenizer, TokenizerError, VideoLoss};
use egom2p_graph::{Graph, Parameters};
use egom2p_model::{Modality, ModelConfig, TokenizerHalves, tokenizer_halves};
use egom2p_torch::{TorchParameters, run};
use tch::{Device, Tensor};

/// The tokenizer of colour and depth video, in training (specification section 3).
#[derive(Debug)]
pub struct VideoTokenizer {
    halves: TokenizerHalves,
    parameters: TorchParameters,
    quantizer: FiniteScalarQuantizer,
    loss: VideoLoss,
    device: Device,
}

impl VideoTokenizer {
    /// A tokenizer that has learned nothing, at the sizes of `config`.
    pub fn new(config: &ModelConfig, loss: VideoLoss, seed: u64, device: Device) -> Result<Self> {
        let halves = tokenizer_halves(config, Modality::Rgb)?;
        let initial = InitialValues::new(Scheme::Video, seed, [&halves.analysis, &halves.synthesis]);
        let parameters = parameters(&halves, &initial, device)?;
        let quantizer = FiniteScalarQuantizer::new(levels(config), device)?;
        Ok(Self { halves, parameters, quantizer, loss, device })
    }

    /// A tokenizer with stored weights.
    pub fn load(config: &ModelConfig, loss: VideoLoss, source: &dyn Parameters, device: Device) -> Result<Self> {
        let halves = tokenizer_halves(config, Modality::Rgb)?;
        let parameters = parameters(&halves, source, device)?;
        let quantizer = FiniteScalarQuantizer::new(levels(config), device)?;
        Ok(Self { halves, parameters, quantizer, loss, device })
    }

    /// Video f32 `[batch, 3, frames, height, width]` in `[-1, 1]` to latents f32 `[batch, levels, t, h, w]`. Frames are one
    /// more than a multiple of 4, height and width multiples of 8.
    pub fn latents(&self, video: &Tensor) -> Result<Tensor> {
        self.one(&self.halves.analysis, "video", video)
    }

    /// Codes f32 `[batch, levels, t, h, w]` to video.
    pub fn synthesize(&self, codes: &Tensor) -> Result<Tensor> {
        self.one(&self.halves.synthesis, "codes", codes)
    }

    /// Runs a half.
    fn one(&self, graph: &Graph, input: &str, value: &Tensor) -> Result<Tensor> {
        Ok(run(graph, &[(input, value)], &self.parameters, self.device)?.swap_remove(0).1)
    }
}

impl Tokenizer for VideoTokenizer {
    fn forward(&self, clips: &Tensor) -> Result<Forward> {
        let quantized = self.quantizer.quantize(&self.latents(clips)?)?;
        let decoded = self.synthesize(&quantized.codes)?;
        let reconstruction = self.loss.of(&decoded, clips)?;
        let loss = reconstruction.shallow_clone();
        Ok(Forward { loss, reconstruction, commitment: None, decoded, tokens: quantized.tokens, lookup: None })
    }

    fn learn_codes(&mut self, _: &Forward, _: u64, _: u64, _: &dyn Peers) -> Result<CodebookUpdate> {
        Ok(CodebookUpdate::default())
    }

    fn trainable(&self) -> Vec<(&str, &Tensor)> {
        self.parameters.iter().collect()
    }

    fn tensors(&self) -> Vec<(&str, &Tensor)> {
        self.parameters.iter().collect()
    }
}

/// The levels of a config whose halves could be built.
fn levels(config: &ModelConfig) -> &[usize] {
    config.video_tokenizer.as_ref().map_or(&[], |tokenizer| &tokenizer.levels)
}

fn parameters(halves: &TokenizerHalves, source: &dyn Parameters, device: Device) -> Result<TorchParameters> {
    let names = halves.analysis.params().chain(halves.synthesis.params());
    let parameters = TorchParameters::load(names, source, device)?;
    for (_, tensor) in parameters.iter() {
        let _ = tensor.f_set_requires_grad(true).map_err(TokenizerError::operation("make a parameter"))?;
    }
    Ok(parameters)
}
