use std::fmt;

/// One of the four kinds of data that the model reads and predicts, in the order of the published model.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Modality {
    /// The camera's trajectory.
    Camera,
    /// Depth video.
    Depth,
    /// Where the wearer looks.
    Gaze,
    /// Colour video.
    Rgb,
}

impl Modality {
    /// Every modality, by index.
    pub const ALL: [Self; 4] = [Self::Camera, Self::Depth, Self::Gaze, Self::Rgb];

    /// What stands for it in the `modality` tensors of the encoder and decoder stages: 0 to 3.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The name that users type and files carry: `camera`, `depth`, `gaze` or `rgb`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Camera => "camera",
            Self::Depth => "depth",
            Self::Gaze => "gaze",
            Self::Rgb => "rgb",
        }
    }

    /// The modality of this name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|modality| modality.name() == name)
    }

    /// The key of the published checkpoints, such as `tok_cam`.
    pub const fn published_key(self) -> &'static str {
        match self {
            Self::Camera => "tok_cam",
            Self::Depth => "tok_depth",
            Self::Gaze => "tok_gaze",
            Self::Rgb => "tok_rgb",
        }
    }

    /// Whether its tokens come from the video tokenizer; the others have a motion tokenizer each.
    pub const fn is_video(self) -> bool {
        matches!(self, Self::Depth | Self::Rgb)
    }
}

impl fmt::Display for Modality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
