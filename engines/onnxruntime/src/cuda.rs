//! The CUDA provider of ONNX Runtime: whether it is there, its settings, and what must not run beside it.

use crate::library::{LIBRARY_VERSION, Library};
use crate::message::one_line;
use crate::native::{Placed, on_stream};
use egom2p_device::Stream;
use egom2p_engine_core::{EngineError, Result};
use ort::ep::cuda::ConvAlgorithmSearch;
use ort::ep::{ArbitrarilyConfigurableExecutionProvider as _, ArenaExtendStrategy, CUDA, ExecutionProvider};
use ort::ep::{CPU, ExecutionProviderDispatch};
use std::collections::BTreeSet;
use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};

/// Setting of a session that remembers where its nodes run.
pub(crate) const RECORD_PLACEMENT: &str = "session.record_ep_graph_assignment_info";

/// Operators that ONNX Runtime computes on the processor beside a GPU, because their results are lengths of axes.
const OF_SHAPES: [&str; 22] = [
    "Add",
    "Cast",
    "Concat",
    "ConstantOfShape",
    "Div",
    "Equal",
    "Expand",
    "Floor",
    "Gather",
    "Identity",
    "LessOrEqual",
    "Mod",
    "Mul",
    "Range",
    "Reshape",
    "Shape",
    "Size",
    "Slice",
    "Squeeze",
    "Sub",
    "Unsqueeze",
    "Where",
];

/// Fails unless the library has the provider. Nothing is loaded.
pub(crate) fn require(library: &Library) -> Result<()> {
    if is_available(library) {
        return Ok(());
    }
    Err(EngineError::Backend {
        what: format!("this library of ONNX Runtime has no CUDA provider: {}", library.path.display()),
        mend: format!(
            "run \"cargo xtask setup --onnxruntime-gpu\" and name its library, of onnxruntime-gpu {LIBRARY_VERSION}, with \
             ORT_DYLIB_PATH or --onnxruntime, or build for --device cpu"
        ),
    })
}

/// Whether the library was built with the provider, which is a file beside it.
pub(crate) fn is_available(library: &Library) -> bool {
    let file = format!("{DLL_PREFIX}onnxruntime_providers_cuda{DLL_SUFFIX}");
    CUDA::is_available().unwrap_or(false) && library.path.with_file_name(file).is_file()
}

/// The provider for a GPU, and the processor for lengths of axes ([`misplaced`]).
///
/// Precision is what the graph says, so TF32 stays off. Convolutions are chosen by a rule and not by trial, so that every
/// process chooses the same and the first call is not a measurement. Memory grows by what is asked for, because a GPU
/// holds the arenas of several sessions.
pub(crate) fn providers(ordinal: usize, stream: &dyn Stream) -> [ExecutionProviderDispatch; 2] {
    let cuda = CUDA::default()
        .with_device_id(i32::try_from(ordinal).unwrap_or(i32::MAX))
        .with_arena_extend_strategy(ArenaExtendStrategy::SameAsRequested)
        .with_conv_algorithm_search(ConvAlgorithmSearch::Heuristic)
        .with_tf32(false)
        .with_arbitrary_config("do_copy_in_default_stream", "1");
    [on_stream(cuda, stream).build().error_on_failure(), CPU::default().build().error_on_failure()]
}

/// A provider that is there and cannot be loaded.
pub(crate) fn unusable(error: &ort::Error) -> EngineError {
    EngineError::Backend {
        what: format!("the CUDA provider of ONNX Runtime cannot be loaded: {}", one_line(error)),
        mend: format!(
            "install CUDA 13 and cuDNN 9 for onnxruntime-gpu {LIBRARY_VERSION}, or run \"cargo xtask setup \
             --onnxruntime-gpu\", and name the folder of their libraries with LD_LIBRARY_PATH (see docs/gpu.md)"
        ),
    }
}

/// The operators that run on the processor although they compute more than lengths of axes.
pub(crate) fn misplaced(nodes: &[Placed]) -> BTreeSet<&str> {
    let elsewhere = nodes.iter().filter(|node| node.provider != CUDA::NAME);
    elsewhere.map(|node| node.operator.as_str()).filter(|operator| !OF_SHAPES.contains(operator)).collect()
}

#[cfg(test)]
mod tests {
    use super::{CUDA, Placed, misplaced};
    use ort::ep::ExecutionProvider as _;

    #[test]
    fn only_shapes_are_computed_on_the_processor() {
        let node = |provider: &str, operator: &str| Placed { provider: provider.into(), operator: operator.into() };
        let cpu = "CPUExecutionProvider";
        let nodes = [node(CUDA::NAME, "MatMul"), node(cpu, "Shape"), node(cpu, "Gather"), node(CUDA::NAME, "Resize")];
        assert!(misplaced(&nodes).is_empty());
        let nodes = [node(cpu, "Resize"), node(cpu, "Shape"), node(cpu, "MatMul"), node(cpu, "Resize")];
        assert_eq!(misplaced(&nodes).into_iter().collect::<Vec<_>>(), ["MatMul", "Resize"]);
    }
}
