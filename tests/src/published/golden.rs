use std::{cell::RefCell, collections::BTreeSet, env, fs, path::PathBuf};

use egom2p_model::read_golden_json;
use half::f16;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde_json::Value;

/// The folder of the published values: what `EGOM2P_GOLDEN_DIR` names, else the one beside the workspace. `None`, with a
/// line on standard error, where it is absent.
pub fn folder() -> Option<PathBuf> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/golden");
    let folder = env::var_os("EGOM2P_GOLDEN_DIR").map_or_else(beside, PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    #[expect(clippy::print_stderr, reason = "a skipped test says so")]
    {
        eprintln!("skipped: no published values in {}; set EGOM2P_GOLDEN_DIR", folder.display());
    }
    None
}

/// One file of published values with its description.
pub struct Golden {
    name: String,
    bytes: Vec<u8>,
    description: Value,
    read: RefCell<BTreeSet<String>>,
}

impl Golden {
    /// The file called `name`; `None` where the folder is absent.
    ///
    /// # Panics
    /// When the folder is there and the file is not.
    pub fn open(name: &str) -> Option<Self> {
        let folder = folder()?;
        let bytes = fs::read(folder.join(format!("{name}.safetensors"))).expect("the values are readable");
        let text = fs::read_to_string(folder.join(format!("{name}.json"))).expect("the description is readable");
        let description = read_golden_json(&text).expect("the description is JSON");
        Some(Self { name: name.to_owned(), bytes, description, read: RefCell::default() })
    }

    /// Its name without extension.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The settings that the values were made with, and what is said about each tensor.
    pub fn description(&self) -> &Value {
        &self.description
    }

    /// The names of all tensors, ascending.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.tensors().names().into_iter().map(str::to_owned).collect();
        names.sort();
        names
    }

    /// The names of all tensors whose values were never asked for, ascending.
    pub fn unread(&self) -> Vec<String> {
        let read = self.read.borrow();
        self.names().into_iter().filter(|name| !read.contains(name)).collect()
    }

    /// The shape of a tensor.
    pub fn shape(&self, name: &str) -> Vec<usize> {
        self.view(name, |view| view.shape().to_vec())
    }

    /// The values of a float tensor.
    ///
    /// # Panics
    /// When there is no such tensor or it holds something else.
    pub fn floats(&self, name: &str) -> Vec<f32> {
        self.values(name, |view| match view.dtype() {
            Dtype::F32 => words(view.data(), f32::from_le_bytes),
            Dtype::F16 => words(view.data(), |word| f16::from_le_bytes(word).to_f32()),
            other => panic!("{name} holds {other}, expected floats"),
        })
    }

    /// The values of an integer tensor of any width.
    ///
    /// # Panics
    /// When there is no such tensor or it holds something else.
    pub fn integers(&self, name: &str) -> Vec<i64> {
        self.values(name, |view| match view.dtype() {
            Dtype::U8 => view.data().iter().copied().map(i64::from).collect(),
            Dtype::I32 => words(view.data(), |word| i64::from(i32::from_le_bytes(word))),
            other => panic!("{name} holds {other}, expected integers"),
        })
    }

    /// Pixels.
    ///
    /// # Panics
    /// When there is no such tensor or it holds something else.
    pub fn bytes(&self, name: &str) -> Vec<u8> {
        self.values(name, |view| {
            assert_eq!(view.dtype(), Dtype::U8, "{name}");
            view.data().to_vec()
        })
    }

    /// The absolute tolerance that is stated for a tensor.
    ///
    /// # Panics
    /// When none is stated.
    pub fn tolerance(&self, name: &str) -> f64 {
        let tolerance = &self.description["tensors"][name]["tolerance"];
        tolerance.as_f64().unwrap_or_else(|| panic!("{name} has the tolerance {tolerance}"))
    }

    fn values<T>(&self, name: &str, read: impl FnOnce(&TensorView<'_>) -> T) -> T {
        self.read.borrow_mut().insert(name.to_owned());
        self.view(name, read)
    }

    fn view<T>(&self, name: &str, read: impl FnOnce(&TensorView<'_>) -> T) -> T {
        let tensors = self.tensors();
        read(&tensors.tensor(name).unwrap_or_else(|error| panic!("{name} of {}: {error}", self.name)))
    }

    fn tensors(&self) -> SafeTensors<'_> {
        SafeTensors::deserialize(&self.bytes).expect("the file is sound")
    }
}

fn words<const N: usize, T>(bytes: &[u8], value: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks().0.iter().copied().map(value).collect()
}
