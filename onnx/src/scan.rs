use crate::ModelProto;
use prost::Message;

/// Largest model that is read: what protobuf itself allows a message to have, 2 GiB less one byte.
pub const MAX_MODEL_BYTES: usize = (1 << 31) - 1;
/// Deepest nesting of messages that is read. A node inside a subgraph inside a subgraph stands at depth ten.
pub const MAX_DEPTH: usize = 64;
/// Largest number of fields that are read, over all messages of a model. Every field costs memory, an empty one too.
pub const MAX_ENTRIES: usize = 1 << 22;

/// Why bytes are not an ONNX model.
#[derive(Debug, thiserror::Error, Clone, PartialEq, Eq)]
pub enum DecodeError {
    /// The file is larger than a protobuf message can be.
    #[error(
        "the ONNX model is too large: expected at most {MAX_MODEL_BYTES} bytes, got {n_bytes}\n\
         keep weights in external files, as \"egom2p export\" does"
    )]
    TooLarge {
        /// Size of the model.
        n_bytes: usize,
    },
    /// Messages are nested too deeply.
    #[error(
        "the ONNX model nests too deeply: expected at most {MAX_DEPTH} levels, got more at byte {offset}\n\
         the file is damaged or hostile; re-export with \"egom2p export\""
    )]
    TooDeep {
        /// Where the limit was passed.
        offset: usize,
    },
    /// There are too many fields.
    #[error(
        "the ONNX model has too many entries: expected at most {MAX_ENTRIES}, got more at byte {offset}\n\
         the file is damaged or hostile; re-export with \"egom2p export\""
    )]
    TooManyEntries {
        /// Where the limit was passed.
        offset: usize,
    },
    /// The wire format is broken.
    #[error(
        "not an ONNX model: {what} at byte {offset} of {n_bytes}\n\
         the file is truncated or damaged; re-export with \"egom2p export\""
    )]
    Malformed {
        /// What is wrong.
        what: &'static str,
        /// Where it is wrong.
        offset: usize,
        /// Size of the model.
        n_bytes: usize,
    },
    /// A field that IR version 13 does not have.
    #[error(
        "the ONNX model has an unknown field: {message} has no field {number} (byte {offset})\n\
         export with IR version 13 or older"
    )]
    UnknownField {
        /// The message it is in.
        message: &'static str,
        /// Its number.
        number: u64,
        /// Where it is.
        offset: usize,
    },
    /// A field's content is broken.
    #[error("not an ONNX model: {what}\nthe file is damaged; re-export with \"egom2p export\"")]
    Content {
        /// What the decoder says.
        what: String,
    },
    /// There is no graph, as in an empty file.
    #[error("not an ONNX model: it has no graph\nthe file is empty or damaged; re-export with \"egom2p export\"")]
    NoGraph,
}

/// Reads a model after checking that its size, nesting and number of entries are bounded and that every field is one
/// that the structs of this crate keep.
pub fn decode_model(bytes: &[u8]) -> Result<ModelProto, DecodeError> {
    if bytes.len() > MAX_MODEL_BYTES {
        return Err(DecodeError::TooLarge { n_bytes: bytes.len() });
    }
    let mut scan = Scan { bytes, offset: 0, n_entries: 0 };
    scan.message(Kind::Model, bytes.len(), 0)?;
    let model = ModelProto::decode(bytes).map_err(|error| DecodeError::Content { what: error.to_string() })?;
    if model.graph.is_none() {
        return Err(DecodeError::NoGraph);
    }
    Ok(model)
}

/// The messages, as far as the scan needs to know them.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Model,
    OperatorSetId,
    StringStringEntry,
    Function,
    TrainingInfo,
    DeviceConfiguration,
    Graph,
    TensorAnnotation,
    Node,
    Attribute,
    NodeDeviceConfiguration,
    ShardingSpec,
    IntIntListEntry,
    ShardedDim,
    SimpleShardedDim,
    Tensor,
    Segment,
    SparseTensor,
    ValueInfo,
    Type,
    TensorType,
    SequenceType,
    MapType,
    OptionalType,
    OpaqueType,
    TensorShape,
    Dimension,
}

impl Kind {
    /// Numbers of the fields that hold no message, and the fields that hold one with its kind.
    fn fields(self) -> (&'static [u64], &'static [(u64, Kind)]) {
        use Kind as K;
        match self {
            K::Model => (
                &[1, 2, 3, 4, 5, 6],
                &[
                    (7, K::Graph),
                    (8, K::OperatorSetId),
                    (14, K::StringStringEntry),
                    (20, K::TrainingInfo),
                    (25, K::Function),
                    (26, K::DeviceConfiguration),
                ],
            ),
            K::OperatorSetId | K::StringStringEntry | K::Segment | K::IntIntListEntry | K::OpaqueType => (&[1, 2], &[]),
            K::Function => (
                &[1, 4, 5, 6, 8, 10, 13],
                &[
                    (7, K::Node),
                    (9, K::OperatorSetId),
                    (11, K::Attribute),
                    (12, K::ValueInfo),
                    (14, K::StringStringEntry),
                ],
            ),
            K::TrainingInfo => {
                (&[], &[(1, K::Graph), (2, K::Graph), (3, K::StringStringEntry), (4, K::StringStringEntry)])
            }
            K::Graph => (
                &[2, 10],
                &[
                    (1, K::Node),
                    (5, K::Tensor),
                    (11, K::ValueInfo),
                    (12, K::ValueInfo),
                    (13, K::ValueInfo),
                    (14, K::TensorAnnotation),
                    (15, K::SparseTensor),
                    (16, K::StringStringEntry),
                ],
            ),
            K::TensorAnnotation => (&[1], &[(2, K::StringStringEntry)]),
            K::Node => (
                &[1, 2, 3, 4, 6, 7, 8],
                &[(5, K::Attribute), (9, K::StringStringEntry), (10, K::NodeDeviceConfiguration)],
            ),
            K::Attribute => (
                &[1, 2, 3, 4, 7, 8, 9, 13, 20, 21],
                &[
                    (5, K::Tensor),
                    (6, K::Graph),
                    (10, K::Tensor),
                    (11, K::Graph),
                    (14, K::Type),
                    (15, K::Type),
                    (22, K::SparseTensor),
                    (23, K::SparseTensor),
                ],
            ),
            K::NodeDeviceConfiguration => (&[1, 3], &[(2, K::ShardingSpec)]),
            K::ShardingSpec => (&[1, 2], &[(3, K::IntIntListEntry), (4, K::ShardedDim)]),
            K::ShardedDim => (&[1], &[(2, K::SimpleShardedDim)]),
            K::DeviceConfiguration | K::SimpleShardedDim | K::Dimension => (&[1, 2, 3], &[]),
            K::Tensor => (
                &[1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14],
                &[(3, K::Segment), (13, K::StringStringEntry), (16, K::StringStringEntry)],
            ),
            K::SparseTensor => (&[3], &[(1, K::Tensor), (2, K::Tensor)]),
            K::ValueInfo => (&[1, 3], &[(2, K::Type), (4, K::StringStringEntry)]),
            K::Type => (
                &[6],
                &[
                    (1, K::TensorType),
                    (4, K::SequenceType),
                    (5, K::MapType),
                    (7, K::OpaqueType),
                    (8, K::TensorType),
                    (9, K::OptionalType),
                ],
            ),
            K::TensorType => (&[1], &[(2, K::TensorShape)]),
            K::SequenceType | K::OptionalType => (&[], &[(1, K::Type)]),
            K::MapType => (&[1], &[(2, K::Type)]),
            K::TensorShape => (&[], &[(1, K::Dimension)]),
        }
    }

    fn name(self) -> &'static str {
        use Kind as K;
        match self {
            K::Model => "ModelProto",
            K::OperatorSetId => "OperatorSetIdProto",
            K::StringStringEntry => "StringStringEntryProto",
            K::Function => "FunctionProto",
            K::TrainingInfo => "TrainingInfoProto",
            K::DeviceConfiguration => "DeviceConfigurationProto",
            K::Graph => "GraphProto",
            K::TensorAnnotation => "TensorAnnotation",
            K::Node => "NodeProto",
            K::Attribute => "AttributeProto",
            K::NodeDeviceConfiguration => "NodeDeviceConfigurationProto",
            K::ShardingSpec => "ShardingSpecProto",
            K::IntIntListEntry => "IntIntListEntryProto",
            K::ShardedDim => "ShardedDimProto",
            K::SimpleShardedDim => "SimpleShardedDimProto",
            K::Tensor => "TensorProto",
            K::Segment => "TensorProto.Segment",
            K::SparseTensor => "SparseTensorProto",
            K::ValueInfo => "ValueInfoProto",
            K::Type => "TypeProto",
            K::TensorType => "TypeProto.Tensor",
            K::SequenceType => "TypeProto.Sequence",
            K::MapType => "TypeProto.Map",
            K::OptionalType => "TypeProto.Optional",
            K::OpaqueType => "TypeProto.Opaque",
            K::TensorShape => "TensorShapeProto",
            K::Dimension => "TensorShapeProto.Dimension",
        }
    }
}

/// A walk over the wire format that allocates nothing.
struct Scan<'a> {
    bytes: &'a [u8],
    offset: usize,
    n_entries: usize,
}

impl Scan<'_> {
    fn message(&mut self, kind: Kind, end: usize, depth: usize) -> Result<(), DecodeError> {
        if depth > MAX_DEPTH {
            return Err(DecodeError::TooDeep { offset: self.offset });
        }
        let (plain, messages) = kind.fields();
        while self.offset < end {
            let start = self.offset;
            self.n_entries += 1;
            if self.n_entries > MAX_ENTRIES {
                return Err(DecodeError::TooManyEntries { offset: start });
            }
            let key = self.varint(end)?;
            let number = key >> 3;
            let child = messages.iter().find(|(n, _)| *n == number).map(|(_, kind)| *kind);
            if child.is_none() && !plain.contains(&number) {
                return Err(DecodeError::UnknownField { message: kind.name(), number, offset: start });
            }
            match (key & 7, child) {
                (2, child) => {
                    let length = self.varint(end)?;
                    let length = usize::try_from(length).ok().filter(|length| *length <= end - self.offset);
                    let Some(length) = length else {
                        return Err(self.malformed("a field is longer than what holds it", start));
                    };
                    match child {
                        Some(child) => self.message(child, self.offset + length, depth + 1)?,
                        None => self.offset += length,
                    }
                }
                (_, Some(_)) => return Err(self.malformed("a number stands where a message belongs", start)),
                (0, None) => {
                    self.varint(end)?;
                }
                (1, None) => self.skip(8, end, start)?,
                (5, None) => self.skip(4, end, start)?,
                (_, None) => return Err(self.malformed("a wire type that does not exist", start)),
            }
        }
        Ok(())
    }

    fn varint(&mut self, end: usize) -> Result<u64, DecodeError> {
        let start = self.offset;
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            if self.offset >= end {
                return Err(self.malformed("the data end inside a number", start));
            }
            let byte = self.bytes[self.offset];
            self.offset += 1;
            if shift == 63 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.malformed("a number of more than 64 bits", start))
    }

    fn skip(&mut self, n_bytes: usize, end: usize, start: usize) -> Result<(), DecodeError> {
        if end - self.offset < n_bytes {
            return Err(self.malformed("the data end inside a number", start));
        }
        self.offset += n_bytes;
        Ok(())
    }

    fn malformed(&self, what: &'static str, offset: usize) -> DecodeError {
        DecodeError::Malformed { what, offset, n_bytes: self.bytes.len() }
    }
}
