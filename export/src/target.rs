use std::fmt;

/// The operator set that a model is written in, and with it what may be used: the one place that names versions.
///
/// All are read by ONNX Runtime 1.31 and by `TensorRT` 10 and later.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Opset {
    /// Operator set 19: `Gelu` is spelt out with `Erf`.
    V19,
    /// Operator set 20.
    #[default]
    V20,
    /// Operator set 22, the first in which convolutions and pools take values of `bf16`.
    V22,
}

/// Who will read the model, which decides how operations are lowered.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Target {
    /// ONNX Runtime on a CPU: its own operators (`com.microsoft`) wherever they are faster.
    OnnxRuntimeCpu,
    /// Any reader of ONNX, such as `TensorRT`: operators of the standard only.
    Standard {
        /// The operator set.
        opset: Opset,
    },
}

impl Opset {
    /// The number in the file.
    pub fn version(self) -> i64 {
        match self {
            Self::V19 => 19,
            Self::V20 => 20,
            Self::V22 => 22,
        }
    }

    /// The version of the file format that introduced the operator set.
    pub fn ir_version(self) -> i64 {
        match self {
            Self::V19 | Self::V20 => 9,
            Self::V22 => 10,
        }
    }
}

impl Target {
    /// The operator set of the standard domain.
    pub fn opset(self) -> Opset {
        match self {
            Self::OnnxRuntimeCpu => Opset::V20,
            Self::Standard { opset } => opset,
        }
    }
}

/// The name in manifests: `onnxruntime-cpu`, `standard-20`.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OnnxRuntimeCpu => f.write_str("onnxruntime-cpu"),
            Self::Standard { opset } => write!(f, "standard-{}", opset.version()),
        }
    }
}
