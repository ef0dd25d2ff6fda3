//! Stored tensors, and what differs from them.

use egom2p_graph::{ParameterError, Parameters};
use egom2p_model::read_golden_json;
use egom2p_model::weights::{ReproducibleTensor, WeightsPart};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use std::path::{Path, PathBuf};
use tch::{Kind, Tensor};

/// A file of tensors, with its description where it has one.
pub(crate) struct Stored {
    bytes: Vec<u8>,
    about: Value,
}

/// Weights that follow from their names.
pub(crate) struct Reproducible {
    pub(crate) part: WeightsPart,
    pub(crate) video_side: usize,
}

impl Stored {
    /// A file that belongs to the tests.
    pub(crate) fn own(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name).with_extension("safetensors");
        Self { bytes: std::fs::read(path).unwrap(), about: Value::Null }
    }

    /// A file of values of the published code, where they are at hand.
    pub(crate) fn published(name: &str) -> Option<Self> {
        let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/golden");
        let folder = std::env::var_os("EGOM2P_GOLDEN_DIR").map_or(beside, PathBuf::from);
        let Ok(text) = std::fs::read_to_string(folder.join(name).with_extension("json")) else {
            eprintln!("skipped: there is no {name} in {}", folder.display());
            return None;
        };
        let bytes = std::fs::read(folder.join(name).with_extension("safetensors")).unwrap();
        Some(Self { bytes, about: read_golden_json(&text).unwrap() })
    }

    pub(crate) fn about(&self) -> &Value {
        &self.about
    }

    pub(crate) fn tensor(&self, name: &str) -> Tensor {
        let file = SafeTensors::deserialize(&self.bytes).unwrap();
        let view = file.tensor(name).unwrap_or_else(|error| panic!("{name}: {error}"));
        let shape: Vec<i64> = view.shape().iter().map(|&size| size as i64).collect();
        let kind = match view.dtype() {
            Dtype::F32 => Kind::Float,
            Dtype::F64 => Kind::Double,
            Dtype::U8 => Kind::Uint8,
            Dtype::I32 => Kind::Int,
            Dtype::I64 => Kind::Int64,
            other => panic!("{name} holds {other}"),
        };
        Tensor::f_from_data_size(view.data(), &shape, kind).unwrap()
    }

    /// Fails unless every value is within the stored tolerance.
    pub(crate) fn assert_close(&self, name: &str, actual: &Tensor) {
        let tolerance = self.about["tensors"][name]["tolerance"].as_f64().unwrap();
        assert_close(name, actual, &self.tensor(name), tolerance);
    }
}

impl Parameters for Reproducible {
    fn parameter(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ParameterError> {
        let tensor = ReproducibleTensor::new(0, self.part, name, shape, self.video_side);
        Ok(tensor.map_err(|error| ParameterError::Source(Box::new(error)))?.values())
    }
}

/// Fails unless every value is as near as that; says how far the farthest is.
pub(crate) fn assert_close(what: &str, actual: &Tensor, expected: &Tensor, tolerance: f64) {
    assert_eq!(actual.size(), expected.size(), "{what}");
    assert!(expected.numel() > 0, "{what}");
    let largest = (actual.to_kind(Kind::Double) - expected.to_kind(Kind::Double)).abs().max().double_value(&[]);
    eprintln!("{what}: largest difference {largest:.1e} of {tolerance:.0e}");
    assert!(largest <= tolerance, "{what}: {largest} is more than {tolerance}");
}
