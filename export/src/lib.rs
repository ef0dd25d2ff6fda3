//! Stage graphs and weights to ONNX.
//!
//! [`export_graph`] lowers one stage for one [`Target`]; [`export_folder`] writes all stages of a model with the weights
//! that they share and a manifest. This crate knows operations, never models: a new block does not touch it, a new
//! [`egom2p_graph::Op`] does not compile until it is lowered.
//!
//! Weights stand beside the ONNX files in files of their own, laid out by [`ExternalLayout`]: page by page, so that
//! readers map them, each tensor once for all stages, in its published order. Lowerings read parts of a tensor, or a tensor
//! in another shape, as the same bytes.
//!
//! Precision is what the graph says: a cast is lowered as a cast, and one of a parameter becomes an initialiser of that type,
//! so that the weights file holds `NAME.fp16` beside, or in place of, `NAME`. On half values, [`Target::Standard`] keeps in
//! single precision what rounds or overflows on the way to a result that would not: the softmax of attention, and the
//! insides of activations. ONNX Runtime's own operators take single precision only, so that [`Target::OnnxRuntimeCpu`]
//! refuses half values.
//!
//! The messages of the ONNX format are prost structs in `egom2p-onnx-proto`, not those of the crate `onnx-protobuf`: that one
//! pins protobuf 3.4.0, which overflows the stack on deeply nested input, stops at IR version 10, and is under the MPL. One
//! file here, `lower/context.rs`, writes them, and [`list_onnx`] reads them.

mod constants;
mod encoding;
mod error;
mod external;
mod folder;
mod listing;
mod lower;
mod reads;
mod target;
mod weights;

pub use constants::EMBEDDED_BELOW_BYTES;
pub use egom2p_onnx_proto::DecodeError;
pub use error::ExportError;
pub use external::{ALIGNMENT_BYTES, ExternalLayout, ExternalTensor};
pub use folder::{ExportReport, FolderExport, StageExport, WeightsExport, export_folder};
pub use listing::{element_name, list_model, list_onnx};
pub use lower::export_graph;
pub use target::{Opset, Target};
pub use weights::{WrittenWeights, write_weights};
