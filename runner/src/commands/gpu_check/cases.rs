use egom2p::benchmark::Synthetic;
use egom2p_engine_core::{DimRange, EngineError, Profile, Tensor, TensorSpec};
use egom2p_model::{Modality, ModelConfig, Stage, Variant};

/// Seed of the inputs of every case.
pub(super) const SEED: u64 = 0;
/// The most rows that a head is asked for at a time in the decoding loop.
const HEAD_ROWS: usize = 256;
/// Tokens that the encoder of a padded case sees.
const PADDED_VISIBLE: usize = 96;
/// Tokens that the decoder of a padded case is asked for.
const PADDED_QUERIES: usize = 48;
/// Of so many positions of a padded case, one is masked.
const MASKED_OF: usize = 3;

/// The lengths of a call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case {
    pub(super) name: &'static str,
    batch: usize,
    visible: usize,
    queries: usize,
    /// Whether masks forbid something.
    padded: bool,
}

/// The inputs of a case, and what of the outputs has a meaning.
pub(super) struct Inputs {
    /// By name, sorted.
    pub(super) tensors: Vec<(String, Tensor)>,
    /// Which rows of the outputs, along their first two axes, are not masked; `None` for all.
    pub(super) permitted: Option<Vec<bool>>,
}

impl Case {
    /// The calls by which a variant is checked, the smallest first: the smallest that is legal, the loop's usual one, and
    /// one with masks that forbid something.
    pub(super) fn of(config: &ModelConfig, stage: Stage, variant: Variant) -> Vec<Self> {
        let n_video = config.video.n_tokens();
        let case = |name, batch, visible, queries| Self { name, batch, visible, queries, padded: false };
        match (stage, variant) {
            (Stage::Encoder, Variant::Unmasked) => vec![case("smallest", 1, 1, 1), case("usual", 1, n_video, 1)],
            (Stage::Decoder, Variant::Unmasked | Variant::Contextless) => {
                vec![case("smallest", 1, 1, 1), case("usual", 1, n_video, n_video.div_ceil(3))]
            }
            (Stage::Encoder | Stage::Decoder, _) => {
                let padded = case("padded", 2, PADDED_VISIBLE.min(n_video), PADDED_QUERIES.min(n_video));
                vec![case("smallest", 1, 1, 1), Self { padded: true, ..padded }]
            }
            (Stage::HeadCamera | Stage::HeadGaze | Stage::HeadDepth | Stage::HeadRgb, _) => {
                let modality = Modality::ALL.into_iter().find(|&modality| Stage::head(modality) == stage);
                let n_tokens = modality.map_or(1, |modality| config.n_tokens(modality));
                vec![case("smallest", 1, 1, 1), case("usual", 1, 1, n_tokens.div_ceil(3).clamp(1, HEAD_ROWS))]
            }
            (Stage::CameraEncoder | Stage::CameraDecoder | Stage::GazeEncoder | Stage::GazeDecoder, _) => {
                vec![case("clip", 1, 1, 1), case("clips", 2, 1, 1)]
            }
            (Stage::VideoEncoder | Stage::VideoDecoder, _) => vec![case("clip", 1, 1, 1)],
        }
    }

    /// The inputs of the case for an engine that takes these.
    pub(super) fn inputs(self, config: &ModelConfig, stage: Stage, specs: &[TensorSpec]) -> anyhow::Result<Inputs> {
        let mut specs = specs.to_vec();
        specs.sort_by(|a, b| a.name.cmp(&b.name));
        let profile = self.profile(config);
        let mut synthetic = Synthetic::new(config, SEED);
        let mut inputs = Inputs { tensors: Vec::with_capacity(specs.len()), permitted: None };
        // Rows of the encoder are what it sees, rows of the decoder what it is asked for.
        let rows_mask = if stage == Stage::Decoder { "query_mask" } else { "visible_mask" };
        for spec in specs {
            let mut tensor = synthetic.input(stage, &spec, &profile)?;
            if self.padded && tensor.as_bool().is_some() {
                tensor = mask(tensor.shape())?;
                if spec.name == rows_mask {
                    inputs.permitted = tensor.as_bool().map(<[bool]>::to_vec);
                }
            }
            inputs.tensors.push((spec.name, tensor));
        }
        Ok(inputs)
    }

    fn profile(self, config: &ModelConfig) -> Profile {
        let [t, h, w] = config.video.grid();
        let (height, width) = (config.video.height, config.video.width);
        let lengths = [
            ("batch", self.batch),
            ("visible", self.visible),
            ("queries", self.queries),
            ("frames", config.video.padded_frames()),
            ("height", height),
            ("width", width),
            ("t", t),
            ("h", h),
            ("w", w),
        ];
        let range = |length| DimRange { min: length, opt: length, max: length };
        Profile { dims: lengths.map(|(name, length)| (name.to_owned(), range(length))).into() }
    }
}

/// A mask `[rows, columns]` that forbids one position of a few, another one in every row, never the first.
fn mask(shape: &[usize]) -> Result<Tensor, EngineError> {
    let columns = shape.last().copied().unwrap_or(1).max(1);
    let n_elements = shape.iter().product();
    let permits = |at: usize| at.is_multiple_of(columns) || !(at / columns + at % columns).is_multiple_of(MASKED_OF);
    Tensor::bool(shape, (0..n_elements).map(permits).collect())
}
