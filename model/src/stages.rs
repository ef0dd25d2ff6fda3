//! The graph of every stage.

mod decoder;
mod encoder;
mod error;
mod halves;
mod head;
mod motion;
mod video;

use egom2p_graph::{Builder, Graph};

use crate::{Modality, ModelConfig, Stage, Variant};
use motion::Sequence;

pub use error::StageError;
pub use halves::{TokenizerHalves, tokenizer_halves};

/// The graph of a stage of a model with these sizes.
///
/// Inputs, outputs and their shapes are those that [`Stage`] lists; named dimensions are `batch`, `visible`, `queries`,
/// `frames`, `height`, `width`, `t`, `h` and `w`. A variant lacks the inputs that [`Variant`] says it lacks. Parameters
/// carry their published names.
pub fn stage_graph(config: &ModelConfig, stage: Stage, variant: Variant) -> Result<Graph, StageError> {
    config.validate()?;
    if !stage.variants().contains(&variant) {
        return Err(StageError::Variant { stage, variant });
    }
    let g = Builder::new(match variant {
        Variant::Default => stage.name().to_owned(),
        Variant::Masked | Variant::Unmasked | Variant::Contextless => format!("{stage}_{variant}"),
    });
    let (name, value) = match stage {
        Stage::VideoEncoder => ("tokens", video::encoder(&g, present(stage, config.video_tokenizer.as_ref())?)),
        Stage::VideoDecoder => ("video", video::decoder(&g, present(stage, config.video_tokenizer.as_ref())?)),
        Stage::CameraEncoder => {
            let tokenizer = present(stage, config.camera_tokenizer.as_ref())?;
            ("tokens", motion::encoder(&g, Sequence::Camera, config.motion, tokenizer))
        }
        Stage::CameraDecoder => {
            let tokenizer = present(stage, config.camera_tokenizer.as_ref())?;
            ("camera", motion::decoder(&g, Sequence::Camera, config.motion, tokenizer))
        }
        Stage::GazeEncoder => {
            let tokenizer = present(stage, config.gaze_tokenizer.as_ref())?;
            ("tokens", motion::encoder(&g, Sequence::Gaze, config.motion, tokenizer))
        }
        Stage::GazeDecoder => {
            let tokenizer = present(stage, config.gaze_tokenizer.as_ref())?;
            ("gaze", motion::decoder(&g, Sequence::Gaze, config.motion, tokenizer))
        }
        Stage::Encoder => ("context", encoder::encoder(&g, config, variant)),
        Stage::Decoder => ("hidden", decoder::decoder(&g, config, variant)),
        Stage::HeadCamera => ("logits", head::head(&g, config, Modality::Camera)),
        Stage::HeadDepth => ("logits", head::head(&g, config, Modality::Depth)),
        Stage::HeadGaze => ("logits", head::head(&g, config, Modality::Gaze)),
        Stage::HeadRgb => ("logits", head::head(&g, config, Modality::Rgb)),
    };
    let id = value.id();
    Ok(g.finish([(name, id)])?)
}

fn present<T>(stage: Stage, tokenizer: Option<&T>) -> Result<&T, StageError> {
    tokenizer.ok_or(StageError::NoTokenizer { stage })
}
