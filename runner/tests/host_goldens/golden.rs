//! A golden file: tensors in safetensors form, described by a JSON file of the same name.

use std::env;
use std::fs;
use std::path::PathBuf;

use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

/// One golden with its description.
pub(crate) struct Golden {
    bytes: Vec<u8>,
    description: Value,
}

/// A tensor of a golden, its values widened to f64 (exact for every type that the goldens use).
pub(crate) struct Stored {
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Vec<f64>,
}

/// The folder with the goldens, if there is one.
pub(crate) fn folder() -> Option<PathBuf> {
    let folder = match env::var_os("EGOM2P_GOLDEN_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/golden"),
    };
    if folder.is_dir() {
        return Some(folder);
    }
    #[expect(clippy::print_stderr, reason = "a skipped test says so")]
    {
        eprintln!("skipped: no goldens in {}", folder.display());
    }
    None
}

impl Golden {
    /// The golden of this name, or `None` where the folder of goldens is absent.
    pub(crate) fn open(name: &str) -> Option<Self> {
        let folder = folder()?;
        let bytes = fs::read(folder.join(format!("{name}.safetensors"))).expect("the golden's tensors are readable");
        let description =
            fs::read_to_string(folder.join(format!("{name}.json"))).expect("the golden's description is readable");
        // Python writes NaN for statistics of tensors that contain it, which is not JSON.
        let description = description.replace(": NaN", ": null");
        let description = serde_json::from_str(&description).expect("the description is JSON");
        Some(Self { bytes, description })
    }

    /// The settings and tensor descriptions.
    pub(crate) fn description(&self) -> &Value {
        &self.description
    }

    /// The names of all tensors that start with `prefix`, ascending.
    pub(crate) fn names(&self, prefix: &str) -> Vec<String> {
        let tensors = self.tensors();
        let names = tensors.names().into_iter().filter(|name| name.starts_with(prefix));
        let mut names: Vec<String> = names.map(ToString::to_string).collect();
        names.sort();
        names
    }

    /// A tensor by name.
    pub(crate) fn tensor(&self, name: &str) -> Stored {
        let tensors = self.tensors();
        let view = tensors.tensor(name).unwrap_or_else(|error| panic!("{name}: {error}"));
        let data = view.data();
        let values = match view.dtype() {
            Dtype::F64 => words(data, f64::from_le_bytes),
            Dtype::F32 => words(data, |word| f64::from(f32::from_le_bytes(word))),
            Dtype::I64 => words(data, |word| i64::from_le_bytes(word) as f64),
            Dtype::I32 => words(data, |word| f64::from(i32::from_le_bytes(word))),
            Dtype::I16 => words(data, |word| f64::from(i16::from_le_bytes(word))),
            Dtype::U8 => words(data, |word: [u8; 1]| f64::from(word[0])),
            other => panic!("{name} has dtype {other:?}"),
        };
        Stored { shape: view.shape().to_vec(), values }
    }

    /// The absolute tolerance that the golden states for a tensor.
    pub(crate) fn tolerance(&self, name: &str) -> f64 {
        let tolerance = &self.description["tensors"][name]["tolerance"];
        tolerance.as_f64().unwrap_or_else(|| panic!("{name} has the tolerance {tolerance}"))
    }

    /// Fails unless `values` agree with the tensor of this name within its stated tolerance.
    pub(crate) fn compare(&self, name: &str, values: &[f64]) {
        let (expected, tolerance) = (self.tensor(name), self.tolerance(name));
        assert_eq!(values.len(), expected.values.len(), "{name}");
        for (i, (&value, &expected)) in values.iter().zip(&expected.values).enumerate() {
            assert!((value - expected).abs() <= tolerance, "{name}[{i}]: {value} instead of {expected} +- {tolerance}");
        }
    }

    fn tensors(&self) -> SafeTensors<'_> {
        SafeTensors::deserialize(&self.bytes).expect("the golden is a safetensors file")
    }
}

impl Stored {
    /// The values as fp32; exact for tensors that were stored so.
    pub(crate) fn f32(&self) -> Vec<f32> {
        self.values.iter().map(|&value| value as f32).collect()
    }

    /// The values as indices.
    pub(crate) fn indices(&self) -> Vec<usize> {
        self.values.iter().map(|&value| value as usize).collect()
    }

    /// The values in rows of `N`.
    pub(crate) fn rows<const N: usize>(&self) -> Vec<[f64; N]> {
        let (rows, rest) = self.values.as_chunks::<N>();
        assert!(rest.is_empty(), "{:?} does not end in {N}", self.shape);
        rows.to_vec()
    }
}

fn words<const N: usize>(data: &[u8], read: impl Fn([u8; N]) -> f64) -> Vec<f64> {
    data.as_chunks::<N>().0.iter().map(|word| read(*word)).collect()
}
