use std::fmt;

/// One file of a weights folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WeightsPart {
    /// The EgoM2P transformer.
    Model,
    /// The camera trajectory tokenizer.
    Camera,
    /// The gaze tokenizer.
    Gaze,
    /// The video tokenizer, shared by RGB and depth.
    Video,
}

impl WeightsPart {
    /// All parts, in the order in which they are listed to users.
    pub const ALL: [Self; 4] = [Self::Model, Self::Camera, Self::Gaze, Self::Video];

    /// The name of this part's file in a weights folder.
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::Model => "model.safetensors",
            Self::Camera => "camera.safetensors",
            Self::Gaze => "gaze.safetensors",
            Self::Video => "video.safetensors",
        }
    }

    /// What stands before the tensor name in the reproducible-weights rule: `egom2p`, `cam`, `gaze` or `video`.
    pub const fn rule_prefix(self) -> &'static str {
        match self {
            Self::Model => "egom2p",
            Self::Camera => "cam",
            Self::Gaze => "gaze",
            Self::Video => "video",
        }
    }

    /// The flag of `egom2p import` that takes this part's checkpoint.
    pub(crate) const fn import_flag(self) -> &'static str {
        match self {
            Self::Model => "--model",
            Self::Camera => "--camera",
            Self::Gaze => "--gaze",
            Self::Video => "--video-encoder or --video-decoder",
        }
    }
}

impl fmt::Display for WeightsPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Model => "the EgoM2P model",
            Self::Camera => "the camera tokenizer",
            Self::Gaze => "the gaze tokenizer",
            Self::Video => "the video tokenizer",
        })
    }
}
