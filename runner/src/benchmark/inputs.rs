use egom2p_engine_core::{Axis, DType, EngineError, Profile, Tensor, TensorSpec};
use egom2p_model::{Modality, ModelConfig, Stage};

use crate::{decoding::TorchGenerator, frames::Frames};

/// The most values of one input: more than any legal input has, and 4 GiB as `f32`.
const MAX_ELEMENTS: usize = 1 << 30;

/// Inputs that the model could meet, from a seed.
#[derive(Clone, Debug)]
pub struct Synthetic<'a> {
    config: &'a ModelConfig,
    generator: TorchGenerator,
}

/// An input that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// A named axis for which the engine's ranges have no length.
    #[error("input {input} has an axis {dim}, for which the bundle names no range\nbuild the bundle again")]
    Dim {
        /// The input.
        input: String,
        /// The axis.
        dim: String,
    },
    /// More values than any input has.
    #[error(
        "input {input} would have the shape {shape:?}, which no input has\nbuild the bundle again with smaller ranges"
    )]
    Size {
        /// The input.
        input: String,
        /// Its shape.
        shape: Vec<usize>,
    },
    /// The values make no tensor.
    #[error(transparent)]
    Tensor(#[from] EngineError),
}

impl<'a> Synthetic<'a> {
    /// Inputs for a model of these sizes.
    pub fn new(config: &'a ModelConfig, seed: u64) -> Self {
        Self { config, generator: TorchGenerator::new(seed) }
    }

    /// An input of a stage at the lengths that its engine is to be fastest at.
    ///
    /// What the transformer sees is one modality, the one of most tokens: RGB; what it is asked for is depth.
    pub fn input(&mut self, stage: Stage, spec: &TensorSpec, profile: &Profile) -> Result<Tensor, InputError> {
        let length = |axis: &Axis| match axis {
            Axis::Fixed(length) => Ok(*length),
            Axis::Named(name) => profile
                .dims
                .get(name)
                .map(|range| range.opt)
                .ok_or_else(|| InputError::Dim { input: spec.name.clone(), dim: name.clone() }),
        };
        let shape = spec.shape.iter().map(length).collect::<Result<Vec<_>, _>>()?;
        let n_elements = shape.iter().try_fold(1_usize, |product, &length| product.checked_mul(length));
        let Some(n_elements) = n_elements.filter(|&n_elements| n_elements <= MAX_ELEMENTS) else {
            return Err(InputError::Size { input: spec.name.clone(), shape });
        };
        let row = shape.last().copied().unwrap_or(1).max(1);
        Ok(match spec.dtype {
            DType::Bool => Tensor::bool(shape, vec![true; n_elements])?,
            DType::F32 => {
                // Every third value of a gaze sequence says whether the sample is valid.
                let is_valid = |at: usize| stage == Stage::GazeEncoder && at % row == 2;
                let value = |at| if is_valid(at) { 1.0 } else { self.generator.next_f32() * 2.0 - 1.0 };
                Tensor::f32(shape, (0..n_elements).map(value).collect())?
            }
            DType::I64 => {
                let ids = (0..n_elements).map(|at| self.id(stage, &spec.name, at % row)).collect();
                Tensor::i64(shape, ids)?
            }
        })
    }

    /// Tokens of a clip.
    pub fn tokens(&mut self, modality: Modality) -> Vec<i64> {
        let vocabulary = self.config.vocabulary(modality);
        (0..self.config.n_tokens(modality)).map(|_| self.below(vocabulary)).collect()
    }

    /// A clip in which every pixel is drawn by itself.
    pub fn frames(&mut self) -> Option<Frames> {
        let video = self.config.video;
        let n_bytes = video.frames * video.height * video.width * 3;
        let pixels = (0..n_bytes).map(|_| self.generator.next_u32().to_le_bytes()[0]).collect();
        Frames::new(pixels, video.frames, video.height, video.width)
    }

    /// The id at a place of a row of an input.
    fn id(&mut self, stage: Stage, input: &str, at: usize) -> i64 {
        let modality = match stage {
            Stage::Decoder => Modality::Depth,
            Stage::CameraDecoder => Modality::Camera,
            Stage::GazeDecoder => Modality::Gaze,
            _ => Modality::Rgb,
        };
        match input {
            "modality" => modality.index() as i64,
            "position" => (at % self.config.n_tokens(modality).max(1)) as i64,
            _ => self.below(self.config.vocabulary(modality)),
        }
    }

    fn below(&mut self, n_ids: usize) -> i64 {
        i64::from(self.generator.next_u32()) % (n_ids.max(1) as i64)
    }
}

#[cfg(test)]
mod tests {
    use egom2p_engine_core::{Axis, DType, DimRange, Profile, TensorSpec};
    use egom2p_model::{Modality, Preset, Stage};

    use super::{InputError, Synthetic};
    use crate::stage_inputs::check_ids;

    fn spec(name: &str, dtype: DType, dim: &str) -> TensorSpec {
        TensorSpec { name: name.to_owned(), dtype, shape: vec![Axis::Fixed(1), Axis::Named(dim.to_owned())] }
    }

    fn profile(dim: &str, opt: usize) -> Profile {
        Profile { dims: [(dim.to_owned(), DimRange { min: 1, opt, max: opt })].into() }
    }

    #[test]
    fn inputs_are_ones_that_the_model_has() {
        let config = Preset::Tiny.config();
        let mut synthetic = Synthetic::new(&config, 7);
        let profile = profile("length", 5000);
        for stage in [Stage::Encoder, Stage::Decoder, Stage::VideoDecoder, Stage::CameraDecoder, Stage::GazeDecoder] {
            let specs = [
                spec("tokens", DType::I64, "length"),
                spec("modality", DType::I64, "length"),
                spec("position", DType::I64, "length"),
                spec("visible_mask", DType::Bool, "length"),
                spec("query_mask", DType::Bool, "length"),
            ];
            let tensors = specs.each_ref().map(|spec| synthetic.input(stage, spec, &profile).expect("a legal input"));
            let inputs: Vec<_> = specs.iter().map(|spec| spec.name.as_str()).zip(&tensors).collect();
            assert_eq!(check_ids(&config, stage, &inputs), Ok(()));
            assert_eq!(tensors[3].as_bool(), Some(&[true; 5000][..]));
        }
        let hidden = synthetic.input(Stage::HeadRgb, &spec("hidden", DType::F32, "length"), &profile);
        let hidden = hidden.expect("a legal input").into_f32().expect("floats");
        assert!(hidden.iter().all(|value| (-1.0..1.0).contains(value)));
        assert!(hidden.iter().any(|value| *value > 0.9) && hidden.iter().any(|value| *value < -0.9));
    }

    #[test]
    fn a_seed_says_everything() {
        let config = Preset::Tiny.config();
        let tokens = |seed| Synthetic::new(&config, seed).tokens(Modality::Rgb);
        assert_eq!(tokens(1), tokens(1));
        assert_ne!(tokens(1), tokens(2));
        assert_eq!(tokens(1).len(), config.n_tokens(Modality::Rgb));
        let frames = Synthetic::new(&config, 1).frames().expect("the sizes are those of the preset");
        assert_eq!(frames.n_frames(), config.video.frames);
    }

    #[test]
    fn ranges_that_make_no_input_are_errors() {
        let config = Preset::Tiny.config();
        let mut synthetic = Synthetic::new(&config, 0);
        let mut input = |profile| synthetic.input(Stage::Encoder, &spec("tokens", DType::I64, "visible"), &profile);
        assert!(matches!(input(profile("queries", 1)), Err(InputError::Dim { dim, .. }) if dim == "visible"));
        assert!(matches!(input(profile("visible", usize::MAX)), Err(InputError::Size { .. })));
    }
}
