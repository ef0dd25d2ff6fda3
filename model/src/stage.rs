use std::fmt;

use crate::{Modality, weights::WeightsPart};

/// One part of the model that is computed in one piece, on its own engine.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Stage {
    /// `video` f32 `[batch, 3, frames, height, width]` in `[-1, 1]` to `tokens` i64 `[batch, t, h, w]`.
    VideoEncoder,
    /// `tokens` i64 `[batch, t, h, w]` to `video` f32 `[batch, 3, frames, height, width]`.
    VideoDecoder,
    /// `camera` f32 `[batch, samples, 9]`, normalised, to `tokens` i64 `[batch, samples / 2]`.
    CameraEncoder,
    /// `tokens` i64 `[batch, samples / 2]` to `camera` f32 `[batch, samples, 9]`, normalised.
    CameraDecoder,
    /// `gaze` f32 `[batch, samples, 3]`: x and y in `[-1, 1]`, valid 0 or 1, to `tokens` i64 `[batch, samples / 2]`.
    GazeEncoder,
    /// `tokens` i64 `[batch, samples / 2]` to `gaze` f32 `[batch, samples, 2]`.
    GazeDecoder,
    /// `tokens`, `modality`, `position` i64 `[batch, visible]` and `visible_mask` bool `[batch, visible]` to `context` f32
    /// `[batch, visible, dim]`: projected, with the position and modality embedding added.
    Encoder,
    /// `context` f32 `[batch, visible, dim]`, `visible_mask` bool `[batch, visible]`, `modality`, `position` i64
    /// `[batch, queries]` and `query_mask` bool `[batch, queries]` to `hidden` f32 `[batch, queries, dim]`.
    Decoder,
    /// `hidden` f32 `[batch, queries, dim]` to `logits` f32 `[batch, queries, vocabulary]` of camera tokens.
    HeadCamera,
    /// The same for depth tokens.
    HeadDepth,
    /// The same for gaze tokens.
    HeadGaze,
    /// The same for colour tokens.
    HeadRgb,
}

/// Which form of a stage: what a form leaves out, its engine never computes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Variant {
    /// The only form of a stage that has one.
    Default,
    /// With all masks.
    Masked,
    /// Without masks: every position is visible and, in the decoder, all queries of a row are of one modality.
    Unmasked,
    /// The decoder with nothing visible: no masks, no `context`, no cross-attention.
    Contextless,
}

/// A name that no stage has.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("no stage is called {name:?}\nuse one of {}", Stage::ALL.map(Stage::name).join(", "))]
pub struct UnknownStage {
    /// The name that was asked for.
    pub name: String,
}

impl Stage {
    /// Every stage, in the order of the data's way through the tokenizers and then the model.
    pub const ALL: [Self; 12] = [
        Self::VideoEncoder,
        Self::VideoDecoder,
        Self::CameraEncoder,
        Self::CameraDecoder,
        Self::GazeEncoder,
        Self::GazeDecoder,
        Self::Encoder,
        Self::Decoder,
        Self::HeadCamera,
        Self::HeadDepth,
        Self::HeadGaze,
        Self::HeadRgb,
    ];

    /// Its name in commands, bundles and reports, such as `video_encoder`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::VideoEncoder => "video_encoder",
            Self::VideoDecoder => "video_decoder",
            Self::CameraEncoder => "camera_encoder",
            Self::CameraDecoder => "camera_decoder",
            Self::GazeEncoder => "gaze_encoder",
            Self::GazeDecoder => "gaze_decoder",
            Self::Encoder => "encoder",
            Self::Decoder => "decoder",
            Self::HeadCamera => "head_camera",
            Self::HeadDepth => "head_depth",
            Self::HeadGaze => "head_gaze",
            Self::HeadRgb => "head_rgb",
        }
    }

    /// The stage of this name.
    pub fn from_name(name: &str) -> Result<Self, UnknownStage> {
        let stage = Self::ALL.into_iter().find(|stage| stage.name() == name);
        stage.ok_or_else(|| UnknownStage { name: name.to_owned() })
    }

    /// The file of a weights folder that holds its parameters.
    pub const fn weights_file(self) -> WeightsPart {
        match self {
            Self::VideoEncoder | Self::VideoDecoder => WeightsPart::Video,
            Self::CameraEncoder | Self::CameraDecoder => WeightsPart::Camera,
            Self::GazeEncoder | Self::GazeDecoder => WeightsPart::Gaze,
            Self::Encoder | Self::Decoder | Self::HeadCamera | Self::HeadDepth | Self::HeadGaze | Self::HeadRgb => {
                WeightsPart::Model
            }
        }
    }

    /// Its forms, the most general one first.
    pub const fn variants(self) -> &'static [Variant] {
        match self {
            Self::Encoder => &[Variant::Masked, Variant::Unmasked],
            Self::Decoder => &[Variant::Masked, Variant::Unmasked, Variant::Contextless],
            Self::VideoEncoder
            | Self::VideoDecoder
            | Self::CameraEncoder
            | Self::CameraDecoder
            | Self::GazeEncoder
            | Self::GazeDecoder
            | Self::HeadCamera
            | Self::HeadDepth
            | Self::HeadGaze
            | Self::HeadRgb => &[Variant::Default],
        }
    }

    /// The stage that turns clips of a modality into tokens.
    pub const fn tokenizer(modality: Modality) -> Self {
        match modality {
            Modality::Camera => Self::CameraEncoder,
            Modality::Gaze => Self::GazeEncoder,
            Modality::Depth | Modality::Rgb => Self::VideoEncoder,
        }
    }

    /// The stage that turns tokens of a modality into clips.
    pub const fn detokenizer(modality: Modality) -> Self {
        match modality {
            Modality::Camera => Self::CameraDecoder,
            Modality::Gaze => Self::GazeDecoder,
            Modality::Depth | Modality::Rgb => Self::VideoDecoder,
        }
    }

    /// The stage that gives the logits of a modality.
    pub const fn head(modality: Modality) -> Self {
        match modality {
            Modality::Camera => Self::HeadCamera,
            Modality::Depth => Self::HeadDepth,
            Modality::Gaze => Self::HeadGaze,
            Modality::Rgb => Self::HeadRgb,
        }
    }
}

impl Variant {
    /// Its name in file names and reports: `default`, `masked`, `unmasked` or `contextless`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Masked => "masked",
            Self::Unmasked => "unmasked",
            Self::Contextless => "contextless",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
