//! The messages of the ONNX file format, and a guarded reader for them.
//!
//! The structs follow the public `onnx.proto` of IR version 13 (proto2) field by field, so a model that is decoded and
//! encoded again loses nothing. Strings and numbers are plain values wherever absent and empty mean the same; they are
//! `Option`s where the format tells the two apart (an attribute's value, a pipeline stage).
//!
//! Whatever is read goes through [`decode_model`], which bounds the size, the nesting and the number of entries
//! before anything is allocated.

mod graph;
mod model;
mod node;
mod scan;
mod tensor;
mod types;

pub use graph::{GraphProto, TensorAnnotation};
pub use model::{
    DeviceConfigurationProto, FunctionProto, ModelProto, OperatorSetIdProto, StringStringEntryProto, TrainingInfoProto,
};
pub use node::{
    AttributeProto, AttributeType, IntIntListEntryProto, NodeDeviceConfigurationProto, NodeProto, ShardedDimProto,
    ShardingSpecProto, SimpleShardedDim, SimpleShardedDimProto,
};
pub use prost::Message;
pub use scan::{DecodeError, MAX_DEPTH, MAX_ENTRIES, MAX_MODEL_BYTES, decode_model};
pub use tensor::{DataLocation, DataType, Segment, SparseTensorProto, TensorProto};
pub use types::{
    Dimension, DimensionValue, MapType, OpaqueType, OptionalType, SequenceType, SparseTensorType, TensorShapeProto,
    TensorType, TypeProto, TypeValue, ValueInfoProto,
};
