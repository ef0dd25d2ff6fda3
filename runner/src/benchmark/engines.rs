use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use egom2p_calibration::{Precision, UnknownPrecision, with_precision};
use egom2p_device::ComputeDevice;
use egom2p_engine_core::{Device, EngineError, SessionOptions, Tensor};
use egom2p_engines::{Bundle, BundleError, BundleVariant};
use egom2p_graph::{Bindings, BuildError, Cost, Dim, DimError, Graph};
use egom2p_model::{ModelConfig, Stage, StageError, Variant};

use super::{Ceilings, InputError, Latency, Synthetic, measure, resident::measure_resident};

/// What one engine takes.
#[derive(Clone, PartialEq, Debug)]
pub struct EngineBenchmark {
    /// The stage.
    pub stage: Stage,
    /// Its form.
    pub variant: Variant,
    /// Name of the backend.
    pub backend: String,
    /// Where it ran.
    pub device: Device,
    /// Precision of the arithmetic, by name.
    pub precision: String,
    /// The lengths of the named dimensions of the call: those that the first range of the engine is fastest at.
    pub dims: BTreeMap<&'static str, usize>,
    /// Wall time of checking the engine's files and loading it.
    pub load_secs: f64,
    /// Wall time of the calls; on a device, with inputs and outputs that stay there.
    pub latency: Latency,
    /// On a device, wall time of the calls with inputs that come from the host and outputs that go back there.
    pub with_transfers: Option<Latency>,
    /// Tokens of a call: those that a tokenizer makes or reads, the encoder sees, the decoder or a head is asked for.
    pub tokens: usize,
    /// What the products of the stage's graph take.
    pub cost: Cost,
}

/// What would limit an engine on an ideal machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bound {
    /// The rate of matrix products.
    Matrix,
    /// The bandwidth of the memory.
    Memory,
}

/// An engine that could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum EngineBenchmarkError {
    /// An engine of another model.
    #[error("stage {stage} has no variant called {variant}\nbuild the bundle again")]
    Variant {
        /// The stage.
        stage: Stage,
        /// The variant that the bundle names.
        variant: String,
    },
    /// The bundle has no such engine, or it cannot be opened.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// An input cannot be made.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The bundle names a precision that there is not.
    #[error(transparent)]
    Precision(#[from] UnknownPrecision),
    /// The config has no such stage.
    #[error(transparent)]
    Stage(#[from] StageError),
    /// The graph does not exist in the engine's precision.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The graph does not exist at the engine's lengths.
    #[error(transparent)]
    Dim(#[from] DimError),
}

/// How the share of a ceiling is computed, for reports.
pub const SHARE_RULE: &str = "the larger of operations at the matrix rate and bytes at the bandwidth, over the median; of matrix products alone, \
     every operand and result counted once per product; above 100 % where operands stay in the processor's caches, \
     or where other programs slowed the measurement of the ceilings";

/// How engines are measured.
#[derive(Clone, Copy, Debug)]
pub struct EngineRuns<'a> {
    /// The device on whose tensors the engines run; `None` for tensors of the host.
    pub device: Option<&'a Arc<dyn ComputeDevice>>,
    /// How sessions run.
    pub options: &'a SessionOptions,
    /// Time for the timed runs of each engine, by [`super::REPEAT_RULE`].
    pub budget: Duration,
    /// Seed of the inputs.
    pub seed: u64,
}

/// Measures an engine of a bundle with synthetic inputs.
///
/// # Errors
/// An engine that cannot be opened or does not run there, or whose ranges make no input of the model.
pub fn measure_engine(
    bundle: &Bundle,
    config: &ModelConfig,
    (stage, variant): (Stage, &str),
    runs: EngineRuns<'_>,
) -> Result<EngineBenchmark, EngineBenchmarkError> {
    let entry = bundle.variant(stage.name(), variant)?;
    let known = stage.variants().iter().find(|known| known.name() == variant);
    let variant = *known.ok_or_else(|| EngineBenchmarkError::Variant { stage, variant: variant.to_owned() })?;
    let graph = stage_graph(config, stage, variant, entry)?;
    let dims = dims_of(&graph, entry);
    let cost = graph.cost(&dims)?;

    let started = Instant::now();
    let engine = bundle.engine(stage.name(), variant.name())?;
    let mut session = match runs.device {
        Some(device) => engine.session_on(device, runs.options)?,
        None => engine.session(runs.options)?,
    };
    let load_secs = started.elapsed().as_secs_f64();
    let profile = entry.profiles.first().cloned().unwrap_or_default();
    let mut synthetic = Synthetic::new(config, runs.seed);
    let specs = session.inputs().to_vec();
    let tensors = specs.iter().map(|spec| synthetic.input(stage, spec, &profile)).collect::<Result<Vec<_>, _>>()?;
    let inputs: Vec<(&str, &Tensor)> = specs.iter().map(|spec| spec.name.as_str()).zip(&tensors).collect();
    let (latency, with_transfers) = match runs.device {
        Some(device) => {
            let outputs = graph.outputs().iter().map(|&(name, node)| {
                let lengths = graph.node(node).fact.shape.iter().map(|dim| dim.evaluate(&dims));
                Ok((name, lengths.collect::<Result<Vec<_>, DimError>>()?))
            });
            let outputs = outputs.collect::<Result<Vec<_>, DimError>>()?;
            let (resident, with_transfers) = measure_resident(&mut *session, device, &inputs, &outputs, runs.budget)?;
            (resident, Some(with_transfers))
        }
        None => (measure(runs.budget, || session.run(&inputs).map(drop))?, None),
    };
    Ok(EngineBenchmark {
        stage,
        variant,
        backend: entry.backend.clone(),
        device: entry.device,
        precision: entry.precision.clone(),
        load_secs,
        latency,
        with_transfers,
        tokens: tokens(config, stage, &dims),
        cost,
        dims,
    })
}

impl EngineBenchmark {
    /// Tokens per second at the median.
    pub fn tokens_per_sec(&self) -> f64 {
        self.tokens as f64 / self.latency.median_secs()
    }

    /// What would limit the engine, and how much of the median the limit explains, by [`SHARE_RULE`].
    pub fn share_of(&self, ceilings: &Ceilings) -> (Bound, f64) {
        let matrix_secs = self.cost.flops as f64 / ceilings.matrix_flops_per_sec;
        let memory_secs = self.cost.bytes as f64 / ceilings.memory_bytes_per_sec;
        let bound = if matrix_secs >= memory_secs { Bound::Matrix } else { Bound::Memory };
        (bound, matrix_secs.max(memory_secs) / self.latency.median_secs())
    }
}

impl Bound {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Matrix => "matrix",
            Self::Memory => "memory",
        }
    }
}

/// The graph that the engine was built from.
fn stage_graph(
    config: &ModelConfig,
    stage: Stage,
    variant: Variant,
    entry: &BundleVariant,
) -> Result<Graph, EngineBenchmarkError> {
    let graph = egom2p_model::stage_graph(config, stage, variant)?;
    Ok(with_precision(&graph, entry.precision.parse::<Precision>()?)?)
}

/// The lengths that the first range of an engine is fastest at, of those dimensions that it names.
fn dims_of(graph: &Graph, entry: &BundleVariant) -> Bindings {
    let names = graph.inputs().flat_map(|(_, fact)| fact.shape.iter().flat_map(Dim::names));
    let length = |name| Some((name, entry.profiles.first()?.dims.get(name)?.opt));
    names.filter_map(length).collect()
}

fn tokens(config: &ModelConfig, stage: Stage, dims: &Bindings) -> usize {
    let length = |name| dims.get(name).copied().unwrap_or(1);
    let n_tokens = match stage {
        Stage::VideoEncoder | Stage::VideoDecoder => config.video.n_tokens(),
        Stage::CameraEncoder | Stage::CameraDecoder | Stage::GazeEncoder | Stage::GazeDecoder => {
            config.motion.n_tokens()
        }
        Stage::Encoder => length("visible"),
        Stage::Decoder | Stage::HeadCamera | Stage::HeadDepth | Stage::HeadGaze | Stage::HeadRgb => length("queries"),
    };
    n_tokens.saturating_mul(length("batch"))
}

#[cfg(test)]
mod tests {
    use egom2p_engine_core::Device;
    use egom2p_graph::Cost;
    use egom2p_model::{Stage, Variant};

    use super::{Bound, EngineBenchmark};
    use crate::benchmark::{Ceilings, Latency};

    #[test]
    fn the_tighter_ceiling_is_the_one_that_counts() {
        let latency = |secs| Latency::new(1, secs, []);
        let ceilings = Ceilings {
            backend: "abacus".to_owned(),
            precision: "fp32".to_owned(),
            matrix_flops_per_sec: 100.0,
            memory_bytes_per_sec: 10.0,
            matrix: latency(1.0),
            memory: latency(1.0),
        };
        let engine = |flops, bytes| EngineBenchmark {
            stage: Stage::HeadRgb,
            variant: Variant::Default,
            backend: "abacus".to_owned(),
            device: Device::Cpu,
            precision: "fp32".to_owned(),
            dims: [("queries", 6)].into(),
            load_secs: 0.0,
            latency: latency(4.0),
            with_transfers: None,
            tokens: 6,
            cost: Cost { flops, bytes },
        };
        assert_eq!(engine(200, 10).share_of(&ceilings), (Bound::Matrix, 0.5));
        assert_eq!(engine(100, 30).share_of(&ceilings), (Bound::Memory, 0.75));
        assert!((engine(1, 1).tokens_per_sec() - 1.5).abs() < f64::EPSILON);
    }
}
