use crate::StringStringEntryProto;

/// A constant tensor. Its elements stand in `raw_data` (little endian), in one of the typed lists, or in another file.
#[derive(Clone, PartialEq, prost::Message)]
pub struct TensorProto {
    /// Shape; empty for a scalar.
    #[prost(int64, repeated, packed = "false", tag = "1")]
    pub dims: Vec<i64>,
    /// Element type: a [`DataType`].
    #[prost(enumeration = "DataType", tag = "2")]
    pub data_type: i32,
    /// Which part of a tensor that is stored in pieces this one is.
    #[prost(message, optional, tag = "3")]
    pub segment: Option<Segment>,
    /// Elements of type float and complex64.
    #[prost(float, repeated, packed = "true", tag = "4")]
    pub float_data: Vec<f32>,
    /// Elements of the integer types up to 32 bits, bool, float16, bfloat16 and the smaller floats.
    #[prost(int32, repeated, packed = "true", tag = "5")]
    pub int32_data: Vec<i32>,
    /// Elements of type string.
    #[prost(bytes = "vec", repeated, tag = "6")]
    pub string_data: Vec<Vec<u8>>,
    /// Elements of type int64.
    #[prost(int64, repeated, packed = "true", tag = "7")]
    pub int64_data: Vec<i64>,
    /// Name of the tensor.
    #[prost(string, tag = "8")]
    pub name: String,
    /// Description for people.
    #[prost(string, tag = "12")]
    pub doc_string: String,
    /// Elements as bytes, little endian, rows first. `None` and empty differ: a tensor without elements has empty bytes.
    #[prost(bytes = "vec", optional, tag = "9")]
    pub raw_data: Option<Vec<u8>>,
    /// Where the elements are when `data_location` is external: `location`, `offset` and `length`.
    #[prost(message, repeated, tag = "13")]
    pub external_data: Vec<StringStringEntryProto>,
    /// Whether the elements are in this message or in another file: a [`DataLocation`].
    #[prost(enumeration = "DataLocation", tag = "14")]
    pub data_location: i32,
    /// Elements of type double and complex128.
    #[prost(double, repeated, packed = "true", tag = "10")]
    pub double_data: Vec<f64>,
    /// Elements of type uint32 and uint64.
    #[prost(uint64, repeated, packed = "true", tag = "11")]
    pub uint64_data: Vec<u64>,
    /// Named values for people and tools.
    #[prost(message, repeated, tag = "16")]
    pub metadata_props: Vec<StringStringEntryProto>,
}

/// A range of elements of a tensor that is stored in pieces.
#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub struct Segment {
    /// First element.
    #[prost(int64, tag = "1")]
    pub begin: i64,
    /// One past the last element.
    #[prost(int64, tag = "2")]
    pub end: i64,
}

/// A sparse tensor in coordinate form.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SparseTensorProto {
    /// The values, `[n]`; its name is the tensor's.
    #[prost(message, optional, tag = "1")]
    pub values: Option<TensorProto>,
    /// Linear indices `[n]` or coordinates `[n, rank]`.
    #[prost(message, optional, tag = "2")]
    pub indices: Option<TensorProto>,
    /// Shape of the dense tensor.
    #[prost(int64, repeated, packed = "false", tag = "3")]
    pub dims: Vec<i64>,
}

/// Where a tensor's elements are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum DataLocation {
    /// In the message.
    Default = 0,
    /// In the file that `external_data` names.
    External = 1,
}

/// Element types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum DataType {
    /// Not set.
    Undefined = 0,
    /// 32-bit float.
    Float = 1,
    /// 8-bit unsigned integer.
    Uint8 = 2,
    /// 8-bit integer.
    Int8 = 3,
    /// 16-bit unsigned integer.
    Uint16 = 4,
    /// 16-bit integer.
    Int16 = 5,
    /// 32-bit integer.
    Int32 = 6,
    /// 64-bit integer.
    Int64 = 7,
    /// String.
    String = 8,
    /// One byte, 0 or 1.
    Bool = 9,
    /// IEEE 754 half.
    Float16 = 10,
    /// 64-bit float.
    Double = 11,
    /// 32-bit unsigned integer.
    Uint32 = 12,
    /// 64-bit unsigned integer.
    Uint64 = 13,
    /// Pair of 32-bit floats.
    Complex64 = 14,
    /// Pair of 64-bit floats.
    Complex128 = 15,
    /// The upper half of a 32-bit float.
    Bfloat16 = 16,
    /// 8-bit float, 4 bits of exponent, no infinity.
    Float8E4m3fn = 17,
    /// 8-bit float, 4 bits of exponent, no infinity, no negative zero.
    Float8E4m3fnuz = 18,
    /// 8-bit float, 5 bits of exponent.
    Float8E5m2 = 19,
    /// 8-bit float, 5 bits of exponent, no infinity, no negative zero.
    Float8E5m2fnuz = 20,
    /// 4-bit unsigned integer, two to a byte.
    Uint4 = 21,
    /// 4-bit integer, two to a byte.
    Int4 = 22,
    /// 4-bit float, two to a byte.
    Float4E2m1 = 23,
    /// 8-bit power of two.
    Float8E8m0 = 24,
    /// 2-bit unsigned integer, four to a byte.
    Uint2 = 25,
    /// 2-bit integer, four to a byte.
    Int2 = 26,
}
