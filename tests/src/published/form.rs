use egom2p_calibration::Precision;
use egom2p_export::{Opset, Target};

/// What a model is exported as before it is held against published values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// In single precision, with the operators of ONNX Runtime.
    OnnxRuntimeCpu,
    /// In single precision, with operators of the standard only: the files that `TensorRT` compiles.
    Standard,
    /// With products in `fp16`, and operators of the standard only.
    StandardFp16,
}

impl Form {
    /// Every form.
    pub const ALL: [Self; 3] = [Self::OnnxRuntimeCpu, Self::Standard, Self::StandardFp16];

    /// Its name in names of tests and folders.
    pub fn name(self) -> &'static str {
        match self {
            Self::OnnxRuntimeCpu => "onnxruntime_cpu",
            Self::Standard => "standard",
            Self::StandardFp16 => "standard_fp16",
        }
    }

    /// The target of the export.
    pub fn target(self) -> Target {
        match self {
            Self::OnnxRuntimeCpu => Target::OnnxRuntimeCpu,
            Self::Standard | Self::StandardFp16 => Target::Standard { opset: Opset::default() },
        }
    }

    /// The precision of the graphs.
    pub fn precision(self) -> Precision {
        match self {
            Self::OnnxRuntimeCpu | Self::Standard => Precision::Fp32,
            Self::StandardFp16 => Precision::Fp16,
        }
    }
}
