//! How far the stages of `egom2p-tiny` come away from `fp32` when their products are half, by the reference interpreter.

use egom2p_calibration::{Precision, with_precision};
use egom2p_graph::{Bindings, DType, Fact, Graph, Literal, ParameterError, Parameters, interpreter::interpret};
use egom2p_model::{
    Preset, Stage, stage_graph,
    weights::{ReproducibleTensor, WeightsPart},
};

/// How far a stage may come away from `fp32`: of values, in units of the largest one; of tokens, the share that differs.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Limits {
    fp16: f64,
    bf16: f64,
}

/// The head is one product, whose result the stage gives: nothing changes.
const GIVEN: Limits = Limits { fp16: 0.0, bf16: 0.0 };
/// Blocks of attention and perceptrons around a residual stream. Measured: at most 4.6e-3 and 3.2e-2.
const TRANSFORMER: Limits = Limits { fp16: 1e-2, bf16: 6e-2 };
/// The video decoder. Measured: 1.2e-3 and 1.2e-2.
const CONVOLUTIONS: Limits = Limits { fp16: 2e-3, bf16: 2e-2 };
/// Latents near the border between two codes. Measured: at most 2 of 192 tokens, and 4 of 60.
const TOKENS: Limits = Limits { fp16: 0.02, bf16: 0.1 };

fn limits(stage: Stage) -> Limits {
    match stage {
        Stage::VideoEncoder | Stage::CameraEncoder | Stage::GazeEncoder => TOKENS,
        Stage::VideoDecoder => CONVOLUTIONS,
        Stage::CameraDecoder | Stage::GazeDecoder | Stage::Encoder | Stage::Decoder => TRANSFORMER,
        Stage::HeadCamera | Stage::HeadDepth | Stage::HeadGaze | Stage::HeadRgb => GIVEN,
    }
}

/// Weights that follow from their names.
struct Reproducible(WeightsPart);

impl Parameters for Reproducible {
    fn parameter(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ParameterError> {
        let video_side = Preset::Tiny.config().video.grid()[1];
        let tensor = ReproducibleTensor::new(7, self.0, name, shape, video_side);
        Ok(tensor.map_err(|error| ParameterError::Source(Box::new(error)))?.values())
    }
}

/// Named dimensions of one small run: a few rows, a few frames.
fn sizes() -> Bindings {
    Bindings::from([
        ("batch", 2),
        ("visible", 9),
        ("queries", 7),
        ("frames", 5),
        ("height", 64),
        ("width", 48),
        ("t", 2),
        ("h", 2),
        ("w", 3),
    ])
}

/// Values that are the same on every machine, of the size that the contract gives the input.
fn fed(name: &str, fact: &Fact) -> Literal {
    let shape: Vec<usize> =
        fact.shape.iter().map(|dim| dim.evaluate(&sizes()).expect("a dimension of the contract")).collect();
    let n_values = shape.iter().product();
    let noise = |index: usize| (index as u32).wrapping_add(1).wrapping_mul(0x9E37_79B9) >> 8;
    let unit = |index: usize| noise(index) as f32 / (1 << 23) as f32 - 1.0;
    let literal = match fact.dtype {
        DType::F32 => Literal::f32(shape, (0..n_values).map(unit).collect()),
        // The clips of one preset hold at least 25 tokens of every modality, and there are four of them.
        DType::I64 => {
            let below = if name == "modality" { 4 } else { 25 };
            Literal::i64(shape, (0..n_values).map(|index| i64::from(noise(index) % below)).collect())
        }
        DType::Bool => Literal::bool(shape, (0..n_values).map(|index| noise(index) % 4 > 0).collect()),
        DType::F16 | DType::Bf16 => unreachable!("halves stay inside"),
    };
    literal.expect("counted")
}

fn output(graph: &Graph, stage: Stage) -> Literal {
    let inputs: Vec<_> = graph.inputs().map(|(name, fact)| (name, fed(name, fact))).collect();
    let mut outputs = interpret(graph, &inputs, &Reproducible(stage.weights_file())).expect("a sound run");
    outputs.remove(0).1
}

/// In the units of [`Limits`].
fn difference(single: &Literal, half: &Literal) -> f64 {
    if let (Some(single), Some(half)) = (single.as_f32(), half.as_f32()) {
        let largest = |values: &mut dyn Iterator<Item = f32>| f64::from(values.fold(0.0_f32, |a, b| a.max(b.abs())));
        assert!(half.iter().all(|value| value.is_finite()));
        return largest(&mut single.iter().zip(half).map(|(a, b)| a - b)) / largest(&mut single.iter().copied());
    }
    let (single, half) = (single.as_i64().expect("tokens"), half.as_i64().expect("tokens"));
    single.iter().zip(half).filter(|(a, b)| a != b).count() as f64 / single.len() as f64
}

#[test]
fn stages_stay_near_their_single_precision() {
    let config = Preset::Tiny.config();
    let mut wrong = Vec::new();
    for (stage, variant) in
        Stage::ALL.into_iter().flat_map(|stage| stage.variants().iter().map(move |&form| (stage, form)))
    {
        let graph = stage_graph(&config, stage, variant).expect("a sound stage");
        let single = output(&graph, stage);
        let [fp16, bf16] = [Precision::Fp16, Precision::Bf16].map(|precision| {
            difference(&single, &output(&with_precision(&graph, precision).expect("a sound stage"), stage))
        });
        let Limits { fp16: fp16_limit, bf16: bf16_limit } = limits(stage);
        // Rounding shows in every value that is not a choice of a token, and bf16 rounds more coarsely.
        let rounds = single.as_f32().is_none() || limits(stage) == GIVEN || (0.0 < fp16 && fp16 < bf16);
        if fp16 > fp16_limit || bf16 > bf16_limit || !rounds {
            wrong.push(format!(
                "{stage} {variant}: fp16 {fp16:.2e} of {fp16_limit:e}, bf16 {bf16:.2e} of {bf16_limit:e}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
