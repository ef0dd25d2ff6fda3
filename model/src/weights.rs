//! Weights by published name: `.safetensors` files, weights that follow from a rule, import of published checkpoints.
//!
//! A weights folder holds one file per [`WeightsPart`]. Every tensor is row-major and carries its published name without a
//! prefix (`encoder.0.attn.qkv.weight`). Values are `f32`, or stored in half the bytes ([`WeightsStorage`]) and widened when
//! they are read. Nothing here holds a whole file in memory: tensors stream through
//! buffers of [`CHUNK_VALUES`] values.

mod checkpoint;
mod error;
mod file;
mod import;
mod part;
mod pickle;
mod published;
mod quote;
mod reproducible;
mod sincos;
mod storage;
mod writer;

pub use checkpoint::{Checkpoint, CheckpointError, CheckpointKind, StoredDtype, StoredTensor};
pub use error::WeightsError;
pub use file::{WeightsDtype, WeightsFile};
pub use import::{ExpectedTensor, ImportError, ImportProgress, ImportSource, ImportedFile, import_weights};
pub use part::WeightsPart;
pub use published::canonical_name;
pub use reproducible::{ReproducibleError, ReproducibleTensor};
pub use sincos::{sincos_1d, sincos_3d};
pub use storage::WeightsStorage;
pub use writer::{TensorSpec, TensorWriter, WeightsWriter, WrittenWeights};

/// How many values travel at once when a tensor is streamed: 1 MiB of `f32`.
pub const CHUNK_VALUES: usize = 1 << 18;
