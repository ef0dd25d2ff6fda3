use std::collections::BTreeMap;

use egom2p_graph::{DType, Graph};

use crate::{
    ExportError,
    reads::{Stored, reads},
};

/// Tensors start at multiples of this many bytes, so that readers can map them page by page.
pub const ALIGNMENT_BYTES: u64 = 4096;

/// Where every tensor of one weights file lies: decided by names and shapes alone, before any value is read.
///
/// The file holds the parameters of all the graphs that share it, in every float type that one of them reads, and their
/// large constants, each once; sorted by name. A parameter in `f32` goes by its published name; in a half type it is called
/// `NAME.fp16` or `NAME.bf16`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExternalLayout {
    location: String,
    entries: BTreeMap<String, ExternalTensor>,
    n_bytes: u64,
}

/// A tensor in a weights file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExternalTensor {
    /// The published name of the parameter that it holds, or its own where it is a constant.
    pub source: String,
    /// Its element type.
    pub dtype: DType,
    /// The size of every axis.
    pub shape: Vec<usize>,
    /// Where it starts in the file, a multiple of [`ALIGNMENT_BYTES`].
    pub offset_bytes: u64,
    /// Its size.
    pub n_bytes: u64,
}

impl ExternalLayout {
    /// The layout of the file `location` (a name relative to the ONNX files) that `graphs` share.
    pub fn new<'a>(
        location: impl Into<String>,
        graphs: impl IntoIterator<Item = &'a Graph>,
    ) -> Result<Self, ExportError> {
        let mut stored: BTreeMap<String, (Stored, Vec<usize>)> = BTreeMap::new();
        for graph in graphs {
            for (tensor, shape) in reads(graph) {
                let name = tensor.name();
                let (known, expected) = stored.entry(name.clone()).or_insert_with(|| (tensor.clone(), shape.clone()));
                if *known != tensor {
                    return Err(ExportError::NameClash { graph: graph.name().to_owned(), name });
                }
                if *expected != shape {
                    let (name, expected) = (tensor.source, expected.clone());
                    return Err(ExportError::Shape { name, expected, actual: shape });
                }
            }
        }
        let mut n_bytes = 0_u64;
        let mut entries = BTreeMap::new();
        for (name, (Stored { source, dtype }, shape)) in stored {
            let too_large = || ExportError::TooLarge { name: source.clone(), shape: shape.clone() };
            let offset_bytes = n_bytes.checked_next_multiple_of(ALIGNMENT_BYTES).ok_or_else(too_large)?;
            let element_bytes = dtype.size_bytes() as u64;
            let length = shape.iter().try_fold(element_bytes, |product, &size| product.checked_mul(size as u64));
            let length = length.ok_or_else(too_large)?;
            n_bytes = offset_bytes.checked_add(length).ok_or_else(too_large)?;
            entries.insert(name, ExternalTensor { source, dtype, shape, offset_bytes, n_bytes: length });
        }
        Ok(Self { location: location.into(), entries, n_bytes })
    }

    /// The file's name, as ONNX files refer to it.
    pub fn location(&self) -> &str {
        &self.location
    }

    /// The tensors by their names in this file; large constants are called `constant.` and a digest of their contents.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &ExternalTensor)> {
        self.entries.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// The tensor called `name` in this file.
    pub fn tensor(&self, name: &str) -> Option<&ExternalTensor> {
        self.entries.get(name)
    }

    /// The size of the whole file.
    pub fn n_bytes(&self) -> u64 {
        self.n_bytes
    }
}
