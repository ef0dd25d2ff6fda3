use crate::DType;

/// A tensor with its values: a constant of a graph, or what the interpreter takes and gives. Row-major.
#[derive(Clone, PartialEq, Debug)]
pub struct Literal {
    shape: Vec<usize>,
    data: LiteralData,
}

/// The values of a [`Literal`], in row-major order.
#[derive(Clone, PartialEq, Debug)]
pub enum LiteralData {
    /// Floats.
    F32(Vec<f32>),
    /// Integers.
    I64(Vec<i64>),
    /// Truth values.
    Bool(Vec<bool>),
}

/// A shape and a number of values that do not belong together.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("shape {shape:?} needs {} values, got {n_values}\npass as many values as the product of the shape", count(.shape))]
pub struct LiteralError {
    /// The shape that was asked for.
    pub shape: Vec<usize>,
    /// The number of values given.
    pub n_values: usize,
}

impl Literal {
    /// A float tensor; fails unless `values` has exactly the shape's number of elements.
    pub fn f32(shape: impl Into<Vec<usize>>, values: Vec<f32>) -> Result<Self, LiteralError> {
        Self::new(shape.into(), LiteralData::F32(values))
    }

    /// An integer tensor; fails unless `values` has exactly the shape's number of elements.
    pub fn i64(shape: impl Into<Vec<usize>>, values: Vec<i64>) -> Result<Self, LiteralError> {
        Self::new(shape.into(), LiteralData::I64(values))
    }

    /// A boolean tensor; fails unless `values` has exactly the shape's number of elements.
    pub fn bool(shape: impl Into<Vec<usize>>, values: Vec<bool>) -> Result<Self, LiteralError> {
        Self::new(shape.into(), LiteralData::Bool(values))
    }

    /// One integer, of rank 0.
    pub fn scalar_i64(value: i64) -> Self {
        Self { shape: Vec::new(), data: LiteralData::I64(vec![value]) }
    }

    /// One float, of rank 0.
    pub fn scalar_f32(value: f32) -> Self {
        Self { shape: Vec::new(), data: LiteralData::F32(vec![value]) }
    }

    /// A tensor of any type; fails unless `data` has exactly the shape's number of elements.
    pub fn new(shape: Vec<usize>, data: LiteralData) -> Result<Self, LiteralError> {
        let n_values = data.len();
        if n_elements(&shape) == Some(n_values) {
            Ok(Self { shape, data })
        } else {
            Err(LiteralError { shape, n_values })
        }
    }

    /// The size of every axis.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The element type.
    pub fn dtype(&self) -> DType {
        match self.data {
            LiteralData::F32(_) => DType::F32,
            LiteralData::I64(_) => DType::I64,
            LiteralData::Bool(_) => DType::Bool,
        }
    }

    /// The values.
    pub fn data(&self) -> &LiteralData {
        &self.data
    }

    /// Gives up the shape and returns the values.
    pub fn into_data(self) -> LiteralData {
        self.data
    }

    /// The values, if they are floats.
    pub fn as_f32(&self) -> Option<&[f32]> {
        if let LiteralData::F32(values) = &self.data { Some(values) } else { None }
    }

    /// The values, if they are integers.
    pub fn as_i64(&self) -> Option<&[i64]> {
        if let LiteralData::I64(values) = &self.data { Some(values) } else { None }
    }

    /// The values, if they are truth values.
    pub fn as_bool(&self) -> Option<&[bool]> {
        if let LiteralData::Bool(values) = &self.data { Some(values) } else { None }
    }
}

impl LiteralData {
    /// The number of values.
    pub fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::I64(values) => values.len(),
            Self::Bool(values) => values.len(),
        }
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn n_elements(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1_usize, |product, &size| product.checked_mul(size))
}

fn count(shape: &[usize]) -> String {
    n_elements(shape).map_or_else(|| "uncountably many".to_owned(), |n| n.to_string())
}
