//! Reference values of the published code: where they are, and how far from them is still right.

#![allow(dead_code, reason = "every test binary uses a part of this")]

use std::path::PathBuf;

use egom2p_graph::Literal;
use egom2p_model::read_golden_json;
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

/// The folder of the reference values: what `EGOM2P_GOLDEN_DIR` names, else the one beside the workspace, if it is there.
/// Says so when it is not.
pub(crate) fn folder() -> Option<PathBuf> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/golden");
    present(std::env::var_os("EGOM2P_GOLDEN_DIR").map_or_else(beside, PathBuf::from))
}

/// The folder of the listings of the published checkpoints, beside that of the reference values.
pub(crate) fn listings() -> Option<PathBuf> {
    present(folder()?.join("../spec"))
}

#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn present(folder: PathBuf) -> Option<PathBuf> {
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("skipped: {} is not here; set EGOM2P_GOLDEN_DIR", folder.display());
    None
}

/// One file of reference values with its description.
pub(crate) struct Golden {
    bytes: Vec<u8>,
    description: Value,
}

impl Golden {
    /// The file of this name; `None` where the folder is absent.
    pub(crate) fn open(name: &str) -> Option<Self> {
        let folder = folder()?;
        let bytes = std::fs::read(folder.join(format!("{name}.safetensors"))).expect("the values are readable");
        let text = std::fs::read_to_string(folder.join(format!("{name}.json"))).expect("the description is readable");
        Some(Self { bytes, description: read_golden_json(&text).expect("the description is JSON") })
    }

    pub(crate) fn description(&self) -> &Value {
        &self.description
    }

    /// A float tensor.
    pub(crate) fn f32(&self, name: &str) -> Literal {
        let (shape, values) = self.values(name, |dtype, bytes| match dtype {
            Dtype::F32 => f32::from_le_bytes(bytes.try_into().expect("four bytes a value")),
            other => panic!("{name} holds {other}"),
        });
        Literal::f32(shape, values).expect("the file is sound")
    }

    /// An integer tensor of any width.
    pub(crate) fn i64(&self, name: &str) -> Literal {
        let (shape, values) = self.values(name, |dtype, bytes| match dtype {
            Dtype::U8 => i64::from(bytes[0]),
            Dtype::I32 => i64::from(i32::from_le_bytes(bytes.try_into().expect("four bytes a value"))),
            other => panic!("{name} holds {other}"),
        });
        Literal::i64(shape, values).expect("the file is sound")
    }

    /// Fails unless every value is within the stored tolerance of the reference; says how far the farthest is.
    #[expect(clippy::print_stderr, reason = "the measured difference belongs to the test's report")]
    pub(crate) fn assert_close(&self, name: &str, actual: &[f32], expected: &[f32]) {
        assert_eq!(actual.len(), expected.len(), "{name}");
        assert!(!expected.is_empty(), "{name}");
        let tolerance = self.description["tensors"][name]["tolerance"].as_f64().expect("a tolerance is a number");
        let differences = actual.iter().zip(expected).map(|(a, b)| f64::from((a - b).abs()));
        let largest = differences.fold(0.0, |largest, d| if d.is_nan() { f64::INFINITY } else { f64::max(largest, d) });
        eprintln!("{name}: {} values, largest difference {largest:.2e} of {tolerance:.0e}", actual.len());
        assert!(largest <= tolerance, "{name}: {largest} is more than {tolerance}");
    }

    fn values<T>(&self, name: &str, read: impl Fn(Dtype, &[u8]) -> T) -> (Vec<usize>, Vec<T>) {
        let tensors = SafeTensors::deserialize(&self.bytes).expect("the file is sound");
        let tensor = tensors.tensor(name).expect("the tensor is there");
        let width = tensor.dtype().bitsize() / 8;
        let values = tensor.data().chunks_exact(width).map(|bytes| read(tensor.dtype(), bytes));
        (tensor.shape().to_vec(), values.collect())
    }
}
