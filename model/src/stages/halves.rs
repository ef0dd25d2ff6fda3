use egom2p_graph::{Builder, DType, Dim, Graph, Value};

use super::motion::{self, Sequence};
use super::{StageError, present, video};
use crate::{Modality, ModelConfig, MotionTokenizerConfig, Stage};

/// A tokenizer without its quantiser, for training: what lies between the two halves is the trainer's business.
#[derive(Clone, PartialEq, Debug)]
pub struct TokenizerHalves {
    /// The inputs of the tokenizer's encoder stage to `latents`: f32 `[batch, tokens, code_dim]` of a motion tokenizer,
    /// `[batch, levels, t, h, w]` of the video tokenizer.
    pub analysis: Graph,
    /// `codes`, of the same shape, to the output of the tokenizer's decoder stage.
    pub synthesis: Graph,
}

/// Both halves of a modality's tokenizer. They are the stages' own graphs, cut where the quantiser stands.
pub fn tokenizer_halves(config: &ModelConfig, modality: Modality) -> Result<TokenizerHalves, StageError> {
    config.validate()?;
    let (encoder, decoder) = (Stage::tokenizer(modality), Stage::detokenizer(modality));
    let halves = [Builder::new(format!("{encoder}_analysis")), Builder::new(format!("{decoder}_synthesis"))];
    let [g, h] = &halves;
    let motion_halves = |sequence, tokenizer: Option<&MotionTokenizerConfig>| {
        let tokenizer = present(encoder, tokenizer)?;
        let codes = [Dim::from("batch"), config.motion.n_tokens().into(), tokenizer.code_dim.into()];
        let latents = motion::analysis(g, sequence, config.motion, tokenizer);
        let codes = h.input("codes", DType::F32, codes);
        Ok::<_, StageError>((latents, motion::synthesis(h, codes, sequence, config.motion, tokenizer)))
    };
    let (latents, clip): (Value<'_>, Value<'_>) = match modality {
        Modality::Camera => motion_halves(Sequence::Camera, config.camera_tokenizer.as_ref())?,
        Modality::Gaze => motion_halves(Sequence::Gaze, config.gaze_tokenizer.as_ref())?,
        Modality::Depth | Modality::Rgb => {
            let tokenizer = present(encoder, config.video_tokenizer.as_ref())?;
            for axis in ["t", "h", "w"] {
                h.require(axis, 1, 1);
            }
            let codes = [Dim::from("batch"), tokenizer.levels.len().into(), "t".into(), "h".into(), "w".into()];
            let codes = h.input("codes", DType::F32, codes);
            (video::analysis(g, tokenizer), video::synthesis(h, codes, tokenizer))
        }
    };
    let output = if modality.is_video() { "video" } else { modality.name() };
    let (latents, clip) = (latents.id(), clip.id());
    let [g, h] = halves;
    Ok(TokenizerHalves { analysis: g.finish([("latents", latents)])?, synthesis: h.finish([(output, clip)])? })
}
